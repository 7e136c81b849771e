"""Public addresses: what is one, also within another, and what is not."""

import pytest

from graphql_api.sources.addresses import is_public, resolve

PUBLIC = """
8.8.8.8 1.1.1.1 172.32.0.1 2606:4700::1111 2001:4860:4860::8888 ::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::1
example.org localhost.example.org metadata
"""
NOT_PUBLIC = """
127.0.0.1 127.8.8.8 0.0.0.0 10.0.0.1 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 100.100.100.200 192.0.0.192
192.0.2.1 198.18.0.1 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255
::1 :: fe80::1 fe80::1%eth0 fc00::1 fd00:ec2::254 fec0::1 ff02::1 ff0e::1 2001:db8::1 100::1
::ffff:127.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::a00:1 2002:7f00:1::
localhost LOCALHOST localhost. provider.localhost
"""


@pytest.mark.parametrize("host", PUBLIC.split())
def test_public(host: str) -> None:
    """Addresses of the internet are public, and so are names other than localhost."""
    assert is_public(host)


@pytest.mark.parametrize("host", NOT_PUBLIC.split())
def test_not_public(host: str) -> None:
    """Loopback, private, link-local, shared, reserved and multicast addresses are not, in no notation."""
    assert not is_public(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "017700000001"])
async def test_other_notations(host: str) -> None:
    """Numbers that the system takes for an IPv4 address resolve to it."""
    assert await resolve(host) == ["127.0.0.1"]


@pytest.mark.parametrize("host", ["", "x" * 64, ".".join(["x" * 60] * 5)])
async def test_no_address(host: str) -> None:
    """A name that cannot exist has no addresses."""
    assert await resolve(host) == []
