"""The client, scheme and host of a request are believed from a trusted proxy, and ignored from anybody else."""

from collections.abc import Sequence

import pytest

from graphql_api.http.forwarded import Forwarded, TrustedProxies, normalize_address

PROXIES = TrustedProxies("192.0.2.1, 10.0.0.0/8, 2001:db8::/32")


def resolve(
    peer: str | None,
    forwarded_for: str | Sequence[str] = (),
    proto: str | Sequence[str] = (),
    host: str | Sequence[str] = (),
    *,
    proxies: TrustedProxies = PROXIES,
) -> Forwarded:
    """Resolve a request with these X-Forwarded headers, each once or several times."""
    headers = {b"x-forwarded-for": forwarded_for, b"x-forwarded-proto": proto, b"x-forwarded-host": host}
    pairs = [
        (name, value.encode("latin-1"))
        for name, values in headers.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    return proxies.resolve(peer, pairs)


@pytest.mark.parametrize("peer", ["192.0.2.2", "11.0.0.1", "2001:db9::1", "127.0.0.1", None])
def test_untrusted(peer: str | None) -> None:
    """Headers of a client that is no trusted proxy are ignored."""
    assert resolve(peer, "198.51.100.7", "https", "evil.example") == (peer, None, None)


@pytest.mark.parametrize("peer", ["192.0.2.1", "10.255.0.1", "2001:db8:1::1"])
def test_trusted(peer: str) -> None:
    """A trusted proxy, by address or network, reports client, scheme and host."""
    forwarded = resolve(peer, "198.51.100.7", "https", "countries.example:8443")
    assert forwarded == ("198.51.100.7", "https", "countries.example:8443")


def test_no_headers() -> None:
    """A trusted proxy that reports nothing is itself the client."""
    assert resolve("192.0.2.1") == ("192.0.2.1", None, None)


def test_all() -> None:
    """`*` trusts every proxy, so the client is the first address of the list."""
    forwarded = resolve("203.0.113.9", "198.51.100.7, 203.0.113.1", "https", proxies=TrustedProxies("*"))
    assert forwarded == ("198.51.100.7", "https", None)


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("203.0.113.5, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        (["203.0.113.5, 198.51.100.7", "10.0.0.2"], "198.51.100.7"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("198.51.100.7:1234", "198.51.100.7"),
        ("[2001:db9::1]:1234", "2001:db9::1"),
        ("[2001:db9::1]", "2001:db9::1"),
        ("2001:DB9:0::1", "2001:db9::1"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("198.51.100.7, unknown", "192.0.2.1"),
        ("unknown, 10.0.0.2", "10.0.0.2"),
        ("198.51.100.7, 10.0.0.2,", "192.0.2.1"),
        ("", "192.0.2.1"),
        ("evil\x1b[2J", "192.0.2.1"),
        ("999.1.1.1", "192.0.2.1"),
        ("198.51.100.7:x", "192.0.2.1"),
    ],
)
def test_client(value: str | list[str], client: str) -> None:
    """The client is the first address before the trusted proxies; what is no address ends the search."""
    assert resolve("192.0.2.1", value).client == client


@pytest.mark.parametrize(
    ("value", "scheme"),
    [
        ("https", "https"),
        ("HTTPS", "https"),
        ("https, http", "https"),
        ("http,https", "http"),
        (["https", "http"], "https"),
        ("wss", "https"),
        ("ws", "http"),
        ("gopher", None),
        ("gopher, https", None),
        ("https://", None),
        ("", None),
        (", https", None),
    ],
)
def test_scheme(value: str | list[str], scheme: str | None) -> None:
    """The scheme is the first of the list, if it is one that serves HTTP."""
    assert resolve("192.0.2.1", proto=value).scheme == scheme


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("countries.example", "countries.example"),
        ("countries.example, internal:8000", "countries.example"),
        (["countries.example", "internal"], "countries.example"),
        ("[2001:db8::1]:8443", "[2001:db8::1]:8443"),
        ("evil.example/path", None),
        ("user@evil.example", None),
        ("evil.example\x00", None),
        ('"><script>', None),
        ("evil.example:99999", None),
        ("::1", None),
        ("", None),
    ],
)
def test_host(value: str | list[str], host: str | None) -> None:
    """The host is the first of the list, if it is valid."""
    assert resolve("192.0.2.1", host=value).host == host


@pytest.mark.parametrize(
    ("text", "address"), [("::ffff:127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("localhost", None), ("", None)]
)
def test_normalize_address(text: str, address: str | None) -> None:
    """IPv4 in IPv6 becomes IPv4, so that a listener of both sees one address."""
    assert normalize_address(text) == address
