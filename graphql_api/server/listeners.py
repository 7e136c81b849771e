"""Sockets that a server listens on: one for each address of HOST, all with one port."""

import errno
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from graphql_api.errors import InvalidSetting

SocketAddress = tuple[socket.AddressFamily, tuple[Any, ...]]
"""A family, and what `bind` takes: address and port; for IPv6 also flow label and zone."""

_BACKLOG = 2048
"""Connections that the system accepts ahead of the server."""
_MAX_ATTEMPTS = 20
"""Attempts to find a port that is free on every address, if PORT is 0."""
_ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""Errors of an address that this machine does not have, e.g. because IPv6 is off."""
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound
"""Address at which this machine reaches a server that listens on all addresses."""


@contextmanager
def open_listeners(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Listen on each address of a host that this machine has, until the context ends.

    `::` stands for `0.0.0.0` too.

    Raises:
        InvalidSetting: HOST has no such address, or PORT is not available on one of them.
    """
    with ExitStack() as stack:
        yield [stack.enter_context(listener) for listener in _listen(host, port)]


def listen_url(listener: socket.socket) -> str:
    """Return the URL of the address that a socket listens on."""
    return _build_url(*listener.getsockname())


def local_url(listener: socket.socket) -> str:
    """Return a URL at which this machine reaches the socket."""
    address, *others = listener.getsockname()
    return _build_url(_LOOPBACK.get(address, address), *others)


def loopback_url(host: str, port: int) -> str:
    """Return the URL at which this machine reaches a server with that HOST and PORT."""
    address = host.strip(" []")
    return _build_url(_LOOPBACK.get(address, address.replace("%", "%25")), port)


def _listen(host: str, port: int) -> list[socket.socket]:
    try:
        addresses = _resolve(host, port)
    except (OSError, UnicodeError):  # the latter for text that no host name can have
        raise _host_error(host) from None
    # The port that the system chooses for one address may be in use on another.
    for _ in range(1 if port else _MAX_ATTEMPTS):
        try:
            return _bind(addresses)
        except OSError as error:
            failure = error
    if failure.errno not in (errno.EADDRINUSE, errno.EACCES):
        raise _host_error(host)
    remedy = "a free one, for example 8001" if failure.errno == errno.EADDRINUSE else "1024 or above"
    # The error's own text repeats the address.
    raise InvalidSetting(
        f"Cannot listen on PORT {port} of HOST {host}: {os.strerror(failure.errno)}. Set PORT to {remedy}."
    )


def _resolve(host: str, port: int) -> Sequence[SocketAddress]:
    """Return the addresses of a host, IPv4 first."""
    results = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses: set[SocketAddress] = {(family, address) for family, _, _, _, address in results}
    if any(address[0] == "::" for _, address in addresses):
        # Not one socket for both: clients over IPv4 would get IPv6 addresses, which no proxy's address matches.
        addresses.add((socket.AF_INET, ("0.0.0.0", port)))  # noqa: S104 - as HOST says
    return sorted(addresses)


def _bind(addresses: Sequence[SocketAddress]) -> list[socket.socket]:
    """Listen on all addresses but absent ones; raise if all are absent."""
    listeners: list[socket.socket] = []
    with ExitStack() as stack:
        for number, (family, (address, port, *zone)) in enumerate(addresses, 1):
            chosen_port = listeners[0].getsockname()[1] if listeners else port
            try:
                listener = socket.create_server((address, chosen_port, *zone), family=family, backlog=_BACKLOG)
            except OSError as error:
                if error.errno not in _ABSENT or (number == len(addresses) and not listeners):
                    raise
            else:
                listeners.append(stack.enter_context(listener))
        stack.pop_all()
    return listeners


def _host_error(host: str) -> InvalidSetting:
    return InvalidSetting(
        f"HOST {host} is not an address of this machine. Set HOST to one, for example 127.0.0.1; "
        "conda and tcsh set it to something else."
    )


def _build_url(address: str, port: int, _flow_label: int = 0, zone: int = 0) -> str:
    # RFC 6874 encodes the percent sign of a zone.
    suffix = f"%25{socket.if_indextoname(zone)}" if zone else ""
    host = f"[{address}{suffix}]" if ":" in address else address
    return f"http://{host}:{port}"
