"""HTML from Jinja templates, with values escaped."""

from functools import cache
from typing import TYPE_CHECKING

from graphql_api.http.site.static_files import Asset

if TYPE_CHECKING:
    import jinja2


def render_template(name: str, **context: object) -> str:
    """Render a file of `templates/` to HTML; a variable that it lacks raises.

    `asset_url(name)` is the URL of a static file, relative to the site. `base.html` needs `root`, the URL of the site
    relative to the page, and `head`, a `PageHead`.
    """
    return _get_environment().get_template(name).render(context)


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
    return environment


def _get_asset_url(name: str) -> str:
    return Asset.from_package(name).url
