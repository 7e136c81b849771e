"""Requests that came through a proxy: the client, scheme and host that a trusted proxy reports.

https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/X-Forwarded-For
"""

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from starlette.requests import HTTPConnection

from graphql_api.http.host import is_valid_host
from graphql_api.http.raw_response import Header

FORWARDED_HOST_KEY = "forwarded_host"
"""Key of `scope["state"]` under which the host is that a trusted proxy reports. The Host header stays as it is."""

_MAX_CACHED_ADDRESSES = 10_000
"""Parsing an address takes as long as sending a cached response."""
_MAX_ADDRESS_LENGTH = 100
"""Characters of an address with zone and port. The cache holds nothing longer."""
_ADDRESS_AND_PORT = re.compile(r"\[([^\]]+)\](?::[0-9]{1,5})?|([^:]+)(?::[0-9]{1,5})?|(.+)")
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class Forwarded(NamedTuple):
    """The client of a request, and how it addressed the first proxy, as far as that is known."""

    client: str | None
    """IP address. None if the client has none."""
    scheme: str | None = None
    """`http` or `https`."""
    host: str | None = None


class TrustedProxies:
    """The proxies whose `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host` are believed."""

    def __init__(self, forwarded_allow_ips: str) -> None:
        """Trust these addresses and networks, separated by commas. `*` trusts all."""
        entries = [entry.strip() for entry in forwarded_allow_ips.split(",")]
        self._trusts_all = "*" in entries
        self._networks = [ipaddress.ip_network(entry) for entry in entries if entry != "*"]
        self._is_trusted = lru_cache(_MAX_CACHED_ADDRESSES)(self._find_network)

    def __contains__(self, address: str | None) -> bool:
        """Return whether an address is one of the proxies."""
        return self._trusts_all or (address is not None and self._is_trusted(address))

    def resolve(self, peer: str | None, headers: Sequence[Header]) -> Forwarded:
        """Return the client, scheme and host of a request that came from `peer`.

        Malformed values are ignored. Of several schemes or hosts, the first one is the client's.
        """
        if peer not in self:
            return Forwarded(peer)
        client = self.find_client(peer, headers)
        scheme = _SCHEMES.get(_read_list(headers, b"x-forwarded-proto")[0].lower())
        host = _read_list(headers, b"x-forwarded-host")[0]
        return Forwarded(client, scheme, host if is_valid_host(host) else None)

    def apply_to(self, scope: Any) -> None:  # noqa: ANN401 - uvicorn's and Starlette's types of a scope differ
        """Give a scope the client, scheme and host that its request had at the first proxy."""
        peer = scope["client"]
        forwarded = self.resolve(peer and peer[0], scope["headers"])
        if forwarded.client is not None and peer != forwarded.client:
            scope["client"] = (forwarded.client, peer[1] if peer and peer[0] == forwarded.client else 0)
        if forwarded.scheme is not None:
            is_websocket = scope["type"] == "websocket"
            scope["scheme"] = forwarded.scheme.replace("http", "ws") if is_websocket else forwarded.scheme
        if forwarded.host is not None:
            scope["state"][FORWARDED_HOST_KEY] = forwarded.host

    def find_client(self, peer: str | None, headers: Sequence[Header]) -> str | None:
        """Return the address that is farthest from here and was reported by a trusted proxy."""
        if peer not in self:
            return peer
        client = peer
        for entry in reversed(_read_list(headers, b"x-forwarded-for")):
            address = normalize_address(entry)
            if address is None:
                break
            client = address
            if client not in self:
                break
        return client

    def _find_network(self, address: str) -> bool:
        ip_address = ipaddress.ip_address(address)
        return any(ip_address in network for network in self._networks)


def get_host(connection: HTTPConnection) -> str:
    """Return the host by which the client addressed the server or its proxy; empty if it named none."""
    host: str | None = connection.scope["state"].get(FORWARDED_HOST_KEY)
    return host or connection.headers.get("Host", "")


def normalize_address(text: str) -> str | None:
    """Return the IP address of a text, which may have a port, or None. IPv4 in IPv6 becomes IPv4."""
    return _parse_address(text) if len(text) <= _MAX_ADDRESS_LENGTH else None


@lru_cache(_MAX_CACHED_ADDRESSES)
def _parse_address(text: str) -> str | None:
    match = _ADDRESS_AND_PORT.fullmatch(text)
    try:
        address = ipaddress.ip_address(match[match.lastindex or 0] if match else "")
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


@lru_cache(_MAX_CACHED_ADDRESSES)
def group_address(address: str) -> str:
    """Return what stands for a client: its address, or for IPv6 the network of 64 bits that one client has."""
    try:
        # A network has no zone.
        return str(ipaddress.IPv6Network((address.partition("%")[0], 64), strict=False))
    except ValueError:
        return address


def _read_list(headers: Sequence[Header], name: bytes) -> list[str]:
    """Return the entries of a header that is a list, at least one, which may be empty."""
    values = [value.decode("latin-1") for header_name, value in headers if header_name == name]
    return [entry.strip() for entry in ",".join(values).split(",")]
