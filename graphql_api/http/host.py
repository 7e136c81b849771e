"""Hosts as a Host header has them: a name or an IP address, and perhaps a port."""

import re
from functools import lru_cache
from ipaddress import IPv6Address

_HOST = re.compile(r"((?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+|\[(?P<ipv6>[^\]%]+)\])(?::(?P<port>[0-9]{0,5}))?")
_MAX_LENGTH = 263
"""Characters of the longest domain name, 253, of a port and of what separates and brackets them, with some room."""
_MAX_PORT = 65_535


@lru_cache(maxsize=256)
def is_valid_host(text: str) -> bool:
    """Return whether this is a host that an absolute URL may contain, with or without a port."""
    match = _HOST.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None or int(match["port"] or 0) > _MAX_PORT:
        return False
    return match["ipv6"] is None or _is_ipv6(match["ipv6"])


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True
