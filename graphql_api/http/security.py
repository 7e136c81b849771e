"""Headers that keep browsers from doing with answers what they are not for."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_STARTS = ("http.response.start", "websocket.http.response.start")


class SecurityHeadersMiddleware:
    """Adds the headers to every answer that does not bring its own."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_secured(message: Message) -> None:
            if message["type"] in _STARTS:
                headers = list(message["headers"])
                given = {name for name, _ in headers}
                headers += [one for one in HEADERS if one[0] not in given]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_secured)


def policy_of(*, sources: str = "'self'", styles: str = "", data: bool = False) -> str:
    """Return the Content-Security-Policy of a page whose scripts and styles are files.

    They come from `sources`. `styles` are hashes of more styles; `data` lets pictures and fonts be
    within a file.
    """
    files = "'self' data:" if data else "'self'"
    return (
        f"default-src 'none'; script-src {sources}; style-src {f'{sources} {styles}'.rstrip()}; "
        f"img-src {files}; font-src {files}; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )
