"""HTML from Jinja templates, with values escaped."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def render_template(name: str, **context: object) -> str:
    """Render a file of `templates/` to HTML; a variable that it lacks raises."""
    return _get_environment().get_template(name).render(context)


@cache
def _get_environment() -> "Environment":
    from jinja2 import (  # noqa: PLC0415 - Jinja would slow every start; few requests need a page
        Environment,
        PackageLoader,
        StrictUndefined,
    )

    return Environment(
        loader=PackageLoader("graphql_api.http.site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
