"""Reading the body of a request, no more of it than is allowed."""

from starlette.requests import Request

from graphql_api.http.errors import HTTPRejection


async def read_body(request: Request, body_limit: int) -> bytes:
    """Return the body.

    Raises:
        Refused: it is compressed, or has more than `limit` bytes; the rest is not read then.
        ClientDisconnect: the client left before the body's end, or took too long.
    """
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        headers = {"Accept-Encoding": "identity"}
        raise HTTPRejection(415, "Send the body without compression.", headers)
    content_length = request.headers.get("Content-Length", "")
    # The server checks that it is a number; one that Python will not read is large.
    if len(content_length) > len(str(body_limit)) or (
        content_length and int(content_length) > body_limit
    ):
        raise _build_too_large_rejection(body_limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > body_limit:
            raise _build_too_large_rejection(body_limit)
    return bytes(body)


def _build_too_large_rejection(body_limit: int) -> HTTPRejection:
    return HTTPRejection(413, f"Send at most {body_limit} bytes.")
