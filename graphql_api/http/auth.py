"""Authorization: by the administrator's token, or without one by the name under which a client knows the server."""

import hmac
import ipaddress
import re
from collections.abc import Iterable

ADMIN_REQUIRED = "This needs the administrator's token: send it as `Authorization: Bearer <ADMIN_TOKEN>`."
WRONG_TOKEN = "The token is wrong: send the administrator's, as `Authorization: Bearer <ADMIN_TOKEN>`."  # noqa: S105 - a message
_HOST_NOT_ACCEPTED = (
    "Without ADMIN_TOKEN, data may be changed only under the name localhost, a loopback address, HOST or PUBLIC_URL. "
    "Use one of these in the URL, or set PUBLIC_URL or ADMIN_TOKEN."
)
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\[\]:/@\s]+))(?::[0-9]*)?")
"""A Host header: an IPv6 address or a name, and a port."""


class AdminAccess:
    """Decides who may change data."""

    def __init__(self, admin_token: str | None, own_hosts: Iterable[str]) -> None:
        """Require the token; without one, require a Host that is loopback or one of `own_hosts`."""
        self._admin_token = admin_token
        self._own_hosts = frozenset(host.lower() for host in own_hosts)

    def find_denial(self, credentials: str, host: str) -> str | None:
        """Return why a client may change nothing, or None if it may, by its Authorization and Host headers.

        A page that a browser loaded from elsewhere may reach a server on the loopback by a name of its own that it
        rebinds to 127.0.0.1. Its requests have its name as Host, and browsers take them for requests of one origin.
        """
        if self._admin_token is not None:
            if is_authorized(credentials, self._admin_token):
                return None
            return WRONG_TOKEN if credentials.strip() else ADMIN_REQUIRED
        match = _HOST.fullmatch(host.lower())
        name = (match[1] or match[2].removesuffix(".")) if match else ""
        return None if name in self._own_hosts or _is_loopback(name) else _HOST_NOT_ACCEPTED


def is_authorized(credentials: str, admin_token: str | None) -> bool:
    """Return whether the value of an Authorization header is `Bearer <admin_token>`, or no token is required."""
    if admin_token is None:
        return True
    scheme, _, token = credentials.partition(" ")
    token_bytes = token.strip().encode(errors="surrogatepass")
    # Constant time: a comparison that stops early would reveal how much of the token matches.
    return scheme.lower() == "bearer" and hmac.compare_digest(token_bytes, admin_token.encode())


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")  # both by RFC 6761
