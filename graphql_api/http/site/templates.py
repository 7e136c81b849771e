"""HTML from Jinja templates, with values escaped."""

import re
from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from graphql_api.http.site.static_files import Asset

if TYPE_CHECKING:
    import jinja2

_ATTRIBUTION = re.compile(r"(?P<name>[^(]+) \((?P<url>https?://[^\s()]+)\)(?P<rest>.*)")
_BREAKS = re.compile(r"(?<=\w)(?=/)|(?<=//)")


def render_template(name: str, **context: object) -> str:
    """Render a file of `templates/` to HTML; a variable that it lacks raises.

    `asset_url(name)` is the URL of a static file, relative to the site. `base.html` needs `root`, the URL of the site
    relative to the page, and `head`, a `PageHead`.
    """
    return _get_environment().get_template(name).render(context)


def link_source(text: str) -> Markup:
    """Return an attribution whose name links to the URL that follows it in brackets; escaped text without one."""
    match = _ATTRIBUTION.fullmatch(text)
    return Markup('<a href="{url}">{name}</a>{rest}').format(**match.groupdict()) if match else escape(text)


def breakable(text: str) -> Markup:
    """Return escaped text whose URLs may break at slashes."""
    return Markup("<wbr>").join(_BREAKS.split(text))


@cache
def _get_environment() -> "jinja2.Environment":
    import jinja2  # noqa: PLC0415 - Jinja would slow every start; few requests need a page

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("graphql_api.http.site"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset_url"] = cache(_get_asset_url)
    environment.filters |= {"link_source": link_source, "breakable": breakable}
    return environment


def _get_asset_url(name: str) -> str:
    return Asset.from_package(name).url
