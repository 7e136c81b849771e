"""Reverse proxies of other projects with the site files of deploy/, in front of one server."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest

from tests.support.certificates import Certificate
from tests.support.paths import ROOT
from tests.support.processes import running_process, wait_for_port
from tests.support.server import free_port

ProxyName = Literal["nginx", "caddy"]

SITES: dict[ProxyName, Path] = {
    "nginx": ROOT / "deploy" / "nginx" / "graphql-api.conf",
    "caddy": ROOT / "deploy" / "caddy" / "Caddyfile",
}
_NGINX_MAIN = """
user {user};
daemon off;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include site.conf;
}}
"""
_CADDY_OPTIONS = "{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n"


@contextmanager
def running_proxy(
    name: ProxyName, folder: Path, certificate: Certificate, server_port: int
) -> Iterator[tuple[str, str | None]]:
    """Run a proxy until the end of the context. Yield its URL, and that of its redirection if it has one."""
    if shutil.which(name) is None:
        pytest.skip(f"install {name} to run its site")
    port, http_port = free_port(), free_port()
    site = SITES[name].read_text("utf-8").replace("127.0.0.1:8000", f"127.0.0.1:{server_port}")
    if name == "nginx":
        command = _write_nginx_files(folder, site, certificate, port, http_port)
    else:
        command = _write_caddy_files(folder, site, certificate, port)
    with running_process(command, folder, {"PATH": os.environ["PATH"], "HOME": str(folder)}):
        wait_for_port(port, listening=True)
        yield f"https://localhost:{port}", f"http://localhost:{http_port}" if name == "nginx" else None


def _write_nginx_files(folder: Path, site: str, certificate: Certificate, port: int, http_port: int) -> list[str]:
    site = re.sub(r"^ *listen \[::\].*\n", "", site, flags=re.MULTILINE)
    site = site.replace("listen 80;", f"listen 127.0.0.1:{http_port};").replace(
        "listen 443", f"listen 127.0.0.1:{port}"
    )
    site = re.sub(r"ssl_certificate \S+;", f"ssl_certificate {certificate.chain};", site)
    site = re.sub(r"ssl_certificate_key \S+;", f"ssl_certificate_key {certificate.key};", site)
    (folder / "site.conf").write_text(site, "utf-8")
    main = _NGINX_MAIN.format(user="root" if os.getuid() == 0 else "nobody")
    (folder / "nginx.conf").write_text(main, "utf-8")
    return ["nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]


def _write_caddy_files(folder: Path, site: str, certificate: Certificate, port: int) -> list[str]:
    address = re.compile(r"^countries\.example\.org {", re.MULTILINE)
    site = address.sub(f"https://localhost:{port} {{\n\ttls {certificate.chain} {certificate.key}", site, count=1)
    (folder / "Caddyfile").write_text(_CADDY_OPTIONS.format() + site, "utf-8")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", "Caddyfile"]
