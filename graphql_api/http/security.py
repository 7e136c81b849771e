"""Headers that keep browsers from doing with answers what they are not for."""

import base64
import hashlib
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


class SecurityHeadersMiddleware:
    """Adds the headers to every answer that does not bring its own."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message["headers"])
                given = {name for name, _ in headers}
                headers += [one for one in HEADERS if one[0] not in given]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_secured)


def policy_of(page: str, *, elsewhere: str = "") -> str:
    """Return the Content-Security-Policy of a page: its own scripts and styles, by their hashes.

    From `elsewhere`, if given, come more of them, which may also style elements one by one.
    """
    hashes: dict[str, list[str]] = {"script": [], "style": []}
    for kind, text in _INLINE.findall(page):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        hashes[kind].append(f"'sha256-{digest}'")
    scripts = " ".join(filter(None, [elsewhere, *hashes["script"]])) or "'none'"
    styles = f"{elsewhere} 'unsafe-inline'" if elsewhere else " ".join(hashes["style"])
    return (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; img-src 'self' data:; "
        "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
