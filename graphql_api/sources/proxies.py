"""Proxies of the environment: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in upper or lower case."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import httpx

from graphql_api.sources.provider import ProviderError

_SCHEMES = ("http", "https")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, and the environment variable that names it."""

    variable: str
    url: httpx.URL = field(repr=False)
    """It may contain a password."""


@dataclass(frozen=True, slots=True)
class ProxyExemption:
    """An entry of NO_PROXY: an address, a network, or a domain with its subdomains; on one port, or on all."""

    host: str
    """A domain that starts with a dot stands for its subdomains only. `*` stands for any text."""
    port: int | None

    def includes(self, url: httpx.URL) -> bool:
        """Return whether requests to `url` use no proxy."""
        if self.port not in (None, url.port or _DEFAULT_PORTS.get(url.scheme)):
            return False
        try:
            return ipaddress.ip_address(url.host) in ipaddress.ip_network(self.host, strict=False)
        except ValueError:
            is_subdomain = url.host.endswith(f".{self.host.removeprefix('.')}")
            return is_subdomain or fnmatchcase(url.host, self.host)


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """Proxies by the scheme of the URLs for which they are, "all" for any, and the exemptions from them."""

    by_scheme: Mapping[str, Proxy]
    exemptions: Sequence[ProxyExemption]

    def select(self, url: httpx.URL) -> Proxy | None:
        """Return the proxy for requests to `url`, or None to send them directly."""
        proxy = self.by_scheme.get(url.scheme) or self.by_scheme.get("all")
        is_exempt = any(exemption.includes(url) for exemption in self.exemptions)
        return None if is_exempt else proxy


def parse_proxies(values: Mapping[str, str], environ: Mapping[str, str]) -> ProxySettings:
    """Parse the proxies that `urllib.request.getproxies` found in the environment or in the system's settings.

    `environ` decides in which case an error names the variable.

    Raises:
        ProviderError: a variable is malformed. The message names it, without its value, which may hold a password.
    """
    entries = [entry for entry in re.split(r"[\s,]+", values.get("no", "")) if entry]
    no_proxy = _find_variable("no", environ)
    exemptions = [_parse_exemption(no_proxy, number, entry) for number, entry in enumerate(entries, 1) if entry != "*"]
    proxies = {
        scheme: _parse_proxy(_find_variable(scheme, environ), values[scheme])
        for scheme in (*_SCHEMES, "all")
        if values.get(scheme)
    }
    return ProxySettings({} if "*" in entries else proxies, exemptions)


def _find_variable(scheme: str, environ: Mapping[str, str]) -> str:
    """Return the name of the variable. The one in lower case takes precedence."""
    name = f"{scheme}_proxy"
    return name if name in environ else name.upper()


def _parse_proxy(variable: str, value: str) -> Proxy:
    try:
        url = httpx.URL(value if "://" in value else f"http://{value}")
        is_proxy = url.scheme in _SCHEMES and bool(url.host) and (url.port or 1) <= _MAX_PORT
    except (httpx.InvalidURL, ValueError):
        is_proxy = False
    if not is_proxy:
        raise ProviderError(f"{variable} is not the http or https URL of a proxy, such as http://proxy.example:3128")
    return Proxy(variable, url)


def _parse_exemption(variable: str, number: int, entry: str) -> ProxyExemption:
    text = entry.rpartition("://")[2]
    try:
        return ProxyExemption(str(ipaddress.ip_network(text, strict=False)), None)
    except ValueError:
        port = re.search(r":(\d+)$", text, re.ASCII)
    try:
        # Hosts that no URL can have are accepted, because they exempt nothing: 192.168.*, <local>.
        return ProxyExemption(httpx.URL(f"http://{text}").host, int(port[1]) if port else None)
    except (httpx.InvalidURL, ValueError):
        raise ProviderError(
            f"entry {number} of {variable} is not a host, an address or a network, such as example.org, "
            "192.0.2.7:8080 or 10.0.0.0/8"
        ) from None
