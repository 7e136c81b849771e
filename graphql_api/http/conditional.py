"""Conditional requests: the 304 for a client that already holds what it requests."""

import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

_ENTITY_TAG = re.compile(r'(?:^|,)[ \t]*(?:W/)?("[^"]*")')
"""One item of the list. `W/` marks a weak tag, which weak comparison ignores."""


def get_if_none_match(request: Request) -> str:
    """Return the If-None-Match header, its repetitions joined; empty if there is none."""
    return ",".join(request.headers.getlist("If-None-Match"))


def build_not_modified(if_none_match: str, headers: Mapping[str, str], *, exists: bool = True) -> Response | None:
    """Return a 304 with `headers` if the client holds the response that their ETag names, by weak comparison.

    `headers` are those of a 200 that concern caches: ETag, Cache-Control and Vary. `*` stands for every response that
    `exists`. https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
    """
    is_held = exists if if_none_match.strip() == "*" else headers["ETag"] in _ENTITY_TAG.findall(if_none_match)
    return Response(status_code=304, headers=dict(headers)) if is_held else None
