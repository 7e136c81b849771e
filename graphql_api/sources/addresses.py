"""Addresses of the public internet, as opposed to those of the server itself and of its own networks."""

import asyncio
import ipaddress
import socket

_EMBEDDING_NETWORKS = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")))
"""NAT64 (RFC 6052, RFC 8215) and IPv4-compatible addresses: their last 32 bits are an IPv4 address."""
_OTHER_NETWORKS = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "fec0::/10")))
"""Networks that are not public, although Python 3.11 says so. The first has the metadata service of a cloud."""


def is_public(host: str) -> bool:
    """Return whether an address is public. A name is, unless it is localhost."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return host.lower().rstrip(".").rpartition(".")[2] != "localhost"
    if isinstance(ip, ipaddress.IPv6Address):
        embedded = ip.ipv4_mapped or ip.sixtofour
        if any(ip in network for network in _EMBEDDING_NETWORKS):
            embedded = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        ip = embedded or ip
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _OTHER_NETWORKS)


async def resolve(host: str) -> list[str]:
    """Return the addresses of a host; none if it does not resolve."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(address[0]) for *_, address in found]
