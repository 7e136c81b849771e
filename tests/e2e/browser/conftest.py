"""A headless Chromium that reaches one server and no other, and axe to look at its pages with."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.fake_providers.server import Upstream
from tests.support.processes import Process, running_server

TOKEN = "hunter2-hunter2"
HERE = Path(__file__).parent
_FLAGS = (
    "--no-sandbox",  # CI is root in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever a page or the browser itself might ask, there is no other host.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
_TIMEOUT_MS = 60_000
"""Milliseconds after which a wait is a failure of the test; no test that passes waits so long."""

OpenPage = Callable[..., AbstractContextManager[Page]]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Lend a browser; as long as there is one no test may run an event loop of its own."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("install chromium to look at pages as people do")
    expect.set_options(timeout=_TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opening(chromium: Browser) -> OpenPage:
    """Return what opens a page of a server in a browser that has never seen it."""

    @contextmanager
    def open_page(page_url: str, *, expected: str = "$^", **options: Any) -> Iterator[Page]:  # noqa: ANN401 - Playwright's
        """Open an address; afterwards nothing else was asked, or complained of but `expected`."""
        origin = "/".join(page_url.split("/")[:3])
        requested_urls: list[str] = []
        messages: list[str] = []

        context = chromium.new_context(**options)
        context.set_default_timeout(_TIMEOUT_MS)
        page = context.new_page()
        # Not by a route, which would keep the browser from using its cache.
        page.on("request", lambda request: requested_urls.append(request.url))
        page.on("console", lambda message: messages.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: messages.append(f"error: {error}"))
        page.on("websocket", lambda socket: requested_urls.append(socket.url))
        try:
            page.goto(page_url)
            yield page
        finally:
            context.close()
        allowed_prefixes = (f"{origin}/", f"{origin.replace('http', 'ws')}/graphql", "data:")
        assert [url for url in requested_urls if not url.startswith(allowed_prefixes)] == []
        assert [text for text in messages if not re.search(expected, text)] == []

    return open_page


@pytest.fixture(scope="session")
def sources() -> Iterator[Upstream]:
    """Lend what plays the sources of the servers that tests share."""
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, sources: Upstream) -> Iterator[Process]:
    """Lend a server that has refreshed once."""
    with running_server(tmp_path_factory.mktemp("open"), **sources.environment) as process:
        process.wait_for_log("countries from geonames")
        yield process


@pytest.fixture(scope="session")
def protected_server(
    tmp_path_factory: pytest.TempPathFactory, sources: Upstream
) -> Iterator[Process]:
    """Lend a server that has refreshed once, and asks for TOKEN to do it again."""
    settings = {**sources.environment, "ADMIN_TOKEN": TOKEN}
    with running_server(tmp_path_factory.mktemp("guarded"), **settings) as process:
        process.wait_for_log("countries from geonames")
        yield process


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Page], list[str]]:
    """Return what tells each rule of accessibility that a page breaks, and where."""
    if shutil.which("npm") is None:
        pytest.skip("install npm to look at pages with axe")
    folder = tmp_path_factory.mktemp("axe")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    command = ["npm", "ci", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
    script = (folder / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")

    def find_violations(page: Page) -> list[str]:
        # One row is like another, and each of the 2000 cells takes its time.
        page.evaluate("document.querySelectorAll('tr:nth-child(n+12)').forEach((r) => r.remove())")
        page.evaluate(script)
        results = page.evaluate("axe.run()")
        assert len(results["passes"]) > 15
        return [
            f"{rule['id']}: {node['html'][:200]}"
            for rule in results["violations"]
            for node in rule["nodes"]
        ]

    return find_violations
