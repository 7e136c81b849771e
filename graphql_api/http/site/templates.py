"""HTML from templates; whatever is put into one is text, unless the template says otherwise."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def render_template(name: str, **context: object) -> str:
    """Return what a template makes of the values."""
    return _get_environment().get_template(name).render(context)


@cache
def _get_environment() -> "Environment":
    # A server starts without it: the first answer seldom is a page.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - see above

    return Environment(
        loader=PackageLoader("graphql_api.http.site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
