"""Security headers for every response."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_RESPONSE_START_TYPES = ("http.response.start", "websocket.http.response.start")


class SecurityHeadersMiddleware:
    """Adds each header to every response that does not set its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or a WebSocket handshake."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] in _RESPONSE_START_TYPES:
                headers = list(message["headers"])
                names = {name for name, _ in headers}
                headers += [header for header in SECURITY_HEADERS if header[0] not in names]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_with_headers)


def build_csp(
    *, style_nonce: str = "", allow_workers: bool = False, allow_data_images: bool = False, allow_forms: bool = False
) -> str:
    """Return the Content-Security-Policy of a page without inline scripts, whose files come from this server.

    Inline styles with `style_nonce` are allowed. `allow_workers` allows workers, `allow_data_images` embedded
    images, `allow_forms` forms that a page of this server receives.
    """
    styles = f"'self' 'nonce-{style_nonce}'" if style_nonce else "'self'"
    workers = "worker-src 'self'; " if allow_workers else ""
    images = "'self' data:" if allow_data_images else "'self'"
    form_targets = "'self'" if allow_forms else "'none'"
    return (
        f"default-src 'none'; script-src 'self'; {workers}style-src {styles}; "
        f"img-src {images}; font-src 'self'; connect-src 'self'; base-uri 'none'; "
        f"form-action {form_targets}; frame-ancestors 'none'"
    )
