"""Conditional requests: whether the client already holds what it requests, and the 304 then."""

import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

_ENTITY_TAG = re.compile(r'(?:^|,)[ \t]*(?:W/)?("[^"]*")')
"""One item of the list. `W/` marks a weak tag, which weak comparison ignores."""


def etag_matches(if_none_match: str, etag: str) -> bool:
    """Return whether an If-None-Match header names `etag`, by weak comparison.

    `*` matches every ETag, so pass only the ETag of a response that exists.
    https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
    """
    return if_none_match.strip() == "*" or etag in _ENTITY_TAG.findall(if_none_match)


def build_not_modified(request: Request, headers: Mapping[str, str]) -> Response | None:
    """Return a 304 with `headers` if the client holds the response that their ETag names.

    `headers` are those of a 200 that concern caches: ETag, Cache-Control and Vary.
    """
    if_none_match = ",".join(request.headers.getlist("If-None-Match"))
    if not etag_matches(if_none_match, headers["ETag"]):
        return None
    return Response(status_code=304, headers=dict(headers))
