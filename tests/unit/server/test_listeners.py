"""Listening sockets: every address of HOST, one port, and errors that name the setting."""

import errno
import os
import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from graphql_api.errors import InvalidSetting
from graphql_api.server.listeners import listen_url, local_url, open_listeners
from tests.support.server import NEEDS_IPV6

NOT_AN_ADDRESS = (
    "HOST {} is not an address of this machine. Set HOST to one, for example 127.0.0.1; "
    "conda and tcsh set it to something else."
)
Fault = Callable[[socket.AddressFamily, int], int | None]
"""Returns the errno with which a socket of a family cannot listen on a port; None if it can."""


def inject(monkeypatch: pytest.MonkeyPatch, fault: Fault) -> list[socket.socket]:
    """Let some sockets fail to listen; return the list of those that do."""
    create_server, opened = socket.create_server, list[socket.socket]()

    def create_or_fail(address: tuple[Any, ...], *, family: socket.AddressFamily, backlog: int) -> socket.socket:
        if (number := fault(family, address[1])) is not None:
            raise OSError(number, f"{os.strerror(number)} (while attempting to bind on address {address})")
        opened.append(create_server(address, family=family, backlog=backlog))
        return opened[-1]

    monkeypatch.setattr(socket, "create_server", create_or_fail)
    return opened


@NEEDS_IPV6
@pytest.mark.parametrize("host", ["::", "0::0"])
def test_both_families(host: str) -> None:
    """`::` listens on one port over IPv4 and IPv6, and clients keep the addresses of their family."""
    with open_listeners(host, 0) as listeners:
        first, second = listeners
        port = first.getsockname()[1]
        assert [listen_url(listener) for listener in listeners] == [f"http://0.0.0.0:{port}", f"http://[::]:{port}"]
        assert [local_url(listener) for listener in listeners] == [f"http://127.0.0.1:{port}", f"http://[::1]:{port}"]
        for listener, address in ((first, "127.0.0.1"), (second, "::1")):
            with closing(socket.create_connection((address, port))):
                connection, client = listener.accept()
                connection.close()
                assert client[0] == address
    assert [listener.fileno() for listener in listeners] == [-1, -1]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "0.0.0.0"])  # noqa: S104 - for a moment
def test_one_address(host: str) -> None:
    """An IPv4 address listens on that one only, in any spelling."""
    with open_listeners(host, 0) as listeners:
        assert [listener.family for listener in listeners] == [socket.AF_INET]
        assert local_url(listeners[0]) == f"http://127.0.0.1:{listeners[0].getsockname()[1]}"


def test_name_with_several_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name listens on each of its addresses once, on one port."""
    results = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in ("127.0.0.2", "127.0.0.1", "127.0.0.2")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: results)
    with open_listeners("localhost", 0) as listeners:
        assert [listener.getsockname()[0] for listener in listeners] == ["127.0.0.1", "127.0.0.2"]
        assert len({listener.getsockname()[1] for listener in listeners}) == 1


@pytest.mark.parametrize("number", [errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT])
def test_without_ipv6(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """On a machine without IPv6, `::` listens over IPv4."""
    inject(monkeypatch, lambda family, _: number if family is socket.AF_INET6 else None)
    with open_listeners("::", 0) as listeners:
        assert [listener.family for listener in listeners] == [socket.AF_INET]


def test_chosen_port_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the port that the system chose is taken on the second address, another one is chosen."""
    taken = list[int]()

    def fault(family: socket.AddressFamily, port: int) -> int | None:
        if family is socket.AF_INET or len(taken) == 2:
            return None
        taken.append(port)
        return errno.EADDRINUSE

    opened = inject(monkeypatch, fault)
    with open_listeners("::", 0) as listeners:
        assert (len(opened), len(listeners)) == (4, 2)
        assert [listener.fileno() == -1 for listener in opened] == [True, True, False, False]


def test_port_in_use() -> None:
    """A port that is in use on one address of several is refused, and none is listened on."""
    with closing(socket.create_server(("0.0.0.0", 0))) as other:  # noqa: S104 - for a moment
        port = other.getsockname()[1]
        with pytest.raises(InvalidSetting) as exc_info, open_listeners("::", port):
            pass
    assert str(exc_info.value) == (
        f"Cannot listen on PORT {port} of HOST ::: Address already in use. Set PORT to a free one, for example 8001."
    )
    with open_listeners("::", port) as listeners:
        assert listeners


def test_failed_address_closes_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure on the second address closes the socket of the first."""
    opened = inject(monkeypatch, lambda family, _: errno.EADDRINUSE if family is socket.AF_INET6 else None)
    with pytest.raises(InvalidSetting, match="Address already in use"), open_listeners("::", 0):
        pass
    assert {listener.fileno() for listener in opened} == {-1}


def test_privileged_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that this user may not listen on is refused, with the range of those that it may."""
    inject(monkeypatch, lambda *_: errno.EACCES)
    with pytest.raises(InvalidSetting) as exc_info, open_listeners("127.0.0.1", 80):
        pass
    assert str(exc_info.value) == (
        "Cannot listen on PORT 80 of HOST 127.0.0.1: Permission denied. Set PORT to 1024 or above."
    )


@pytest.mark.parametrize(
    "host", ["x86_64-conda-linux-gnu", "192.0.2.99", "http://127.0.0.1", "127.0.0.1:8000", "x" * 64, "a..b", "fe80::1"]
)
def test_no_address(host: str) -> None:
    """A host that is no address of this machine is refused as the value of HOST."""
    with pytest.raises(InvalidSetting) as exc_info, open_listeners(host, 0):
        pass
    assert str(exc_info.value) == NOT_AN_ADDRESS.format(host)


def test_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The URL of a link-local address has its zone, encoded."""
    monkeypatch.setattr(socket, "if_indextoname", {2: "eth0"}.get)

    class Listener(socket.socket):
        def getsockname(self) -> tuple[object, ...]:
            return ("fe80::1", 8000, 0, 2)

    with Listener() as listener:
        assert (listen_url(listener), local_url(listener)) == ("http://[fe80::1%25eth0]:8000",) * 2
