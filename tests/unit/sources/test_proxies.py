"""Proxies of the environment: which requests use which, and the errors of malformed variables."""

from collections.abc import Mapping

import httpx
import pytest

from graphql_api.sources.provider import ProviderError
from graphql_api.sources.proxies import ProxySettings, parse_proxies

PROXY = "http://proxy.example:3128"
NOT_A_PROXY = "is not the http or https URL of a proxy, such as http://proxy.example:3128"
NOT_A_HOST = "is not a host, an address or a network, such as example.org, 192.0.2.7:8080 or 10.0.0.0/8"


def parse(environ: Mapping[str, str]) -> ProxySettings:
    """Parse variables in the form in which `urllib.request.getproxies` returns them."""
    return parse_proxies({name.lower().removesuffix("_proxy"): value for name, value in environ.items()}, environ)


def is_proxied(no_proxy: str, url: str) -> bool:
    """Return whether a URL has a proxy with this list of exemptions."""
    return parse({"ALL_PROXY": PROXY, "NO_PROXY": no_proxy}).select(httpx.URL(url)) is not None


def test_no_proxies() -> None:
    """Without variables, or with empty ones, there are no proxies."""
    assert parse({}).select(httpx.URL("http://example.org")) is None
    assert parse({"HTTP_PROXY": "", "NO_PROXY": "example.org"}).select(httpx.URL("http://example.org")) is None


@pytest.mark.parametrize(
    ("url", "variable"), [("http://example.org", "http_proxy"), ("https://example.org", "ALL_PROXY")]
)
def test_selection(url: str, variable: str) -> None:
    """The proxy of a URL's scheme takes precedence over that of all schemes."""
    proxy = parse({"http_proxy": "http://one:1", "ALL_PROXY": "http://two:2"}).select(httpx.URL(url))
    assert proxy is not None
    assert proxy.variable == variable


@pytest.mark.parametrize(
    ("value", "url"),
    [
        (PROXY, PROXY),
        ("proxy.example:3128", PROXY),
        ("https://user:p%40ss@proxy.example", "https://user:p%40ss@proxy.example"),
        ("http://[::1]:8080/", "http://[::1]:8080/"),
    ],
)
def test_valid_proxy(value: str, url: str) -> None:
    """A proxy is a URL, whose scheme may be left out, with or without credentials, which its repr lacks."""
    proxy = parse({"HTTPS_PROXY": value}).by_scheme["https"]
    assert proxy.url == httpx.URL(url)
    assert repr(proxy) == "Proxy(variable='HTTPS_PROXY')"


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    "value",
    [
        "socks://127.0.0.1:7890/",
        "socks5://127.0.0.1:7890",
        "ftp://proxy.example",
        "http://",
        "http://[::1",
        "::::",
        "http://proxy.example:99999",
        "http://proxy.example:port",
        "http://hunter2:hunter2@:1",
        "\udcff\udcfe",
        "a\x00b",
        f"http://{'x' * 100_000}",
    ],
)
def test_malformed_proxy(variable: str, value: str) -> None:
    """A malformed proxy is an error that names the variable, not its value."""
    with pytest.raises(ProviderError) as exc_info:
        parse({variable: value})
    assert str(exc_info.value) == f"{variable} {NOT_A_PROXY}"


@pytest.mark.parametrize(
    ("no_proxy", "proxied", "direct"),
    [
        ("*", [], ["http://example.org"]),
        ("x, *", [], ["http://example.org"]),
        ("example.org", ["http://myexample.org"], ["http://example.org", "https://a.b.EXAMPLE.org:8080"]),
        (".example.org", ["http://example.org"], ["http://www.example.org"]),
        ("*.example.org", ["http://example.org"], ["http://www.example.org"]),
        ("example.org:8080", ["http://example.org"], ["http://example.org:8080"]),
        ("example.org:443", ["http://example.org"], ["https://example.org"]),
        ("bücher.example", ["http://example"], ["http://xn--bcher-kva.example"]),
        ("localhost 127.0.0.1,,", ["http://127.0.0.2"], ["http://localhost", "http://127.0.0.1:8000"]),
        ("10.0.0.0/8", ["http://11.0.0.1", "http://10.example"], ["http://10.1.2.3"]),
        ("192.168.*", ["http://192.169.0.1"], ["http://192.168.0.1"]),
        ("::1,fd00::/8", ["http://[::2]"], ["http://[::1]", "http://[fd00::7]:8000"]),
        ("[::1]", ["http://[::2]"], ["http://[::1]", "https://[::1]:1"]),
        ("[::1]:8000", ["http://[::1]"], ["http://[::1]:8000"]),
        ("https://example.org", ["http://example.com"], ["https://example.org"]),
        ("<local>;$HOST", ["http://example.org"], []),
    ],
)
def test_exemptions(no_proxy: str, proxied: list[str], direct: list[str]) -> None:
    """Hosts, subdomains, addresses and networks are exempt, on one port or on all."""
    assert [url for url in proxied if not is_proxied(no_proxy, url)] == []
    assert [url for url in direct if is_proxied(no_proxy, url)] == []


@pytest.mark.parametrize(
    ("no_proxy", "number"),
    [("[::1", 1), ("example.org, ::1]", 2), ("example.org [gg]", 2), ("a,b,c:port", 3), ("\udcff", 1), ("a\x00b", 1)],
)
def test_malformed_exemption(no_proxy: str, number: int) -> None:
    """A malformed exemption is an error with its number, even if no proxy is set."""
    with pytest.raises(ProviderError) as exc_info:
        parse({"no_proxy": no_proxy})
    assert str(exc_info.value) == f"entry {number} of no_proxy {NOT_A_HOST}"
