"""Hosts: which values of a Host header are valid."""

import pytest

from graphql_api.http.host import is_valid_host


@pytest.mark.parametrize(
    "host",
    [
        "countries.example",
        "countries.example:8000",
        "countries.example.",
        "a",
        "service_1:80",
        "127.0.0.1",
        "127.0.0.1:65535",
        "[::1]",
        "[2001:db8::1]:8443",
        "[::ffff:192.0.2.1]:1",
        "caf%C3%A9.example",
        "countries.example:",
        "x" * 253 + ":65535",
    ],
)
def test_valid(host: str) -> None:
    """Names and addresses are valid, with or without a port."""
    assert is_valid_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        " ",
        "a b",
        "a,b",
        "a, b",
        "a/b",
        "a?b",
        "a#b",
        "a\\b",
        "user@a",
        "http://a",
        "a:b",
        "a:-1",
        "a:65536",
        "a:000080",
        "a:80:80",
        ":80",
        "::1",
        "[::1",
        "[::1]x",
        "[]",
        "[::1%eth0]",
        "[1.2.3.4]",
        "[::g]",
        "a%",
        "a%zz",
        "<script>",
        "café",
        "a\x00",
        "x" * 300,
    ],
)
def test_invalid(host: str) -> None:
    """Everything else is not."""
    assert not is_valid_host(host)
