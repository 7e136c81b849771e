"""HTML from Jinja templates, with values escaped."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2


def render_template(name: str, **context: object) -> str:
    """Render a file of `templates/` to HTML; a variable that it lacks raises."""
    return _get_environment().get_template(name).render(context)


@cache
def _get_environment() -> "jinja2.Environment":
    import jinja2  # noqa: PLC0415 - Jinja would slow every start; few requests need a page

    return jinja2.Environment(
        loader=jinja2.PackageLoader("graphql_api.http.site"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
