"""Authorization: by the administrator's token, or without one by the name under which a client knows the server."""

import hashlib
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


class BearerTokens:
    """Tokens each of which authorizes. They can be replaced while the server runs."""

    def __init__(self, tokens: Iterable[str]) -> None:
        """Accept these tokens."""
        self.replace(tokens)

    def replace(self, tokens: Iterable[str]) -> None:
        """Accept these tokens from now on, and no others."""
        self._digests = [_digest(token) for token in tokens]

    def __len__(self) -> int:
        return len(self._digests)

    def accept(self, credentials: str) -> bool:
        """Return whether the value of an Authorization header is `Bearer <token>` with one of the tokens."""
        scheme, _, token = credentials.partition(" ")
        digest = _digest(token.strip())
        # Constant time, whatever the length: a comparison that stops early would reveal how much of a token matches.
        matches = [hmac.compare_digest(digest, accepted) for accepted in self._digests]
        return scheme.lower() == "bearer" and any(matches)


class AdminAccess:
    """Decides who may change data."""

    def __init__(self, admin_tokens: BearerTokens, own_hosts: Iterable[str]) -> None:
        """Require a token; if there is none, require a Host that is loopback or one of `own_hosts`."""
        self._admin_tokens = admin_tokens
        self._own_hosts = frozenset(host.lower() for host in own_hosts)

    def find_denial(self, credentials: str, host: str) -> str | None:
        """Return why a client may change nothing, or None if it may, by its Authorization and Host headers.

        A page that a browser loaded from elsewhere may reach a server on the loopback by a name of its own that it
        rebinds to 127.0.0.1. Its requests have its name as Host, and browsers take them for requests of one origin.
        """
        if self._admin_tokens:
            if self._admin_tokens.accept(credentials):
                return None
            return WRONG_TOKEN if credentials.strip() else ADMIN_REQUIRED
        match = _HOST.fullmatch(host.lower())
        name = (match[1] or match[2].removesuffix(".")) if match else ""
        return None if name in self._own_hosts or _is_loopback(name) else _HOST_NOT_ACCEPTED


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")  # both by RFC 6761
