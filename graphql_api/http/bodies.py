"""Reading the body of a request, no more of it than is allowed."""

from starlette.requests import Request

from graphql_api.http.refusing import Refused


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body.

    Raises:
        Refused: it is compressed, or has more than `limit` bytes; the rest is not read then.
        ClientDisconnect: the client left before the body's end, or took too long.
    """
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        headers = {"Accept-Encoding": "identity"}
        raise Refused(415, "Send the body without compression.", headers)
    announced = request.headers.get("Content-Length", "")
    # The server checks that it is a number; one that Python will not read is large.
    if len(announced) > len(str(limit)) or (announced and int(announced) > limit):
        raise _too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def _too_large(limit: int) -> Refused:
    return Refused(413, f"Send at most {limit} bytes.")
