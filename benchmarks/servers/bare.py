"""The fastest possible ASGI application: sends the same bytes to every request."""

import os
from pathlib import Path

from starlette.types import Receive, Scope, Send

BODY = Path(os.environ["BODY"]).read_bytes()
_START_MESSAGE = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())],
}
_BODY_MESSAGE = {"type": "http.response.body", "body": BODY}


async def app(_: Scope, __: Receive, send: Send) -> None:
    """Send the response."""
    await send(_START_MESSAGE)
    await send(_BODY_MESSAGE)
