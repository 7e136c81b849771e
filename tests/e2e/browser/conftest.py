"""A headless Chromium that reaches only the server under test, and axe."""

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

TOKEN = "hunter2-hunter2-hunter2"
HERE = Path(__file__).parent
_FLAGS = (
    "--no-sandbox",  # CI is root in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # No other host resolves, whatever the page or the browser requests.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
_TIMEOUT_MS = 60_000
"""Milliseconds. A passing test never waits this long."""

OpenPage = Callable[..., AbstractContextManager[Page]]
FindViolations = Callable[[Page], list[str]]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Yield a browser. While it is open, tests cannot run an event loop of their own."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("the browser tests need chromium")
    expect.set_options(timeout=_TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opening(chromium: Browser) -> OpenPage:
    """Return a function that opens a page in a browser with an empty cache."""

    @contextmanager
    def open_page(page_url: str, *, expected: str = "$^", **options: Any) -> Iterator[Page]:  # noqa: ANN401 - Playwright's
        """Open a URL. Fails if the page contacted other servers or logged more than `expected`."""
        origin = "/".join(page_url.split("/")[:3])
        requested_urls: list[str] = []
        messages: list[str] = []

        context = chromium.new_context(**options)
        context.set_default_timeout(_TIMEOUT_MS)
        page = context.new_page()
        # Routing requests would disable the browser cache.
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
    """Yield the fake providers of the shared servers."""
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, sources: Upstream) -> Iterator[Process]:
    """Yield a server that has refreshed once."""
    with running_server(tmp_path_factory.mktemp("open"), **sources.environment) as process:
        process.wait_for_log("countries from geonames")
        yield process


@pytest.fixture(scope="session")
def protected_server(tmp_path_factory: pytest.TempPathFactory, sources: Upstream) -> Iterator[Process]:
    """Yield a server that has refreshed once and requires TOKEN for further refreshes."""
    settings = {**sources.environment, "ADMIN_TOKEN": TOKEN}
    with running_server(tmp_path_factory.mktemp("guarded"), **settings) as process:
        process.wait_for_log("countries from geonames")
        yield process


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> FindViolations:
    """Return a function that lists the accessibility violations of a page."""
    if shutil.which("npm") is None:
        pytest.skip("the accessibility tests need npm")
    folder = tmp_path_factory.mktemp("axe")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    command = ["npm", "ci", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
    script = (folder / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")

    def find_violations(page: Page) -> list[str]:
        # Ten rows suffice: checking all 2000 cells is slow.
        page.evaluate("document.querySelectorAll('tr:nth-child(n+12)').forEach((r) => r.remove())")
        page.evaluate(script)
        results = page.evaluate("axe.run({ resultTypes: ['violations'] })")
        assert len(results["passes"]) > 15
        return [f"{rule['id']}: {node['html'][:200]}" for rule in results["violations"] for node in rule["nodes"]]

    return find_violations
