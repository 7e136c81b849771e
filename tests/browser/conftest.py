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

from tests.cli.running import Process, serving
from tests.upstream.server import Upstream

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
_PATIENCE = 60_000
"""Milliseconds after which a wait is a failure of the test; no test that passes waits so long."""

Opening = Callable[..., AbstractContextManager[Page]]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Lend a browser; as long as there is one no test may run an event loop of its own."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("install chromium to look at pages as people do")
    expect.set_options(timeout=_PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opening(chromium: Browser) -> Opening:
    """Return what opens a page of a server in a browser that has never seen it."""

    @contextmanager
    def open_page(address: str, *, expected: str = "$^", **options: Any) -> Iterator[Page]:  # noqa: ANN401 - Playwright's
        """Open an address; afterwards nothing else was asked, or complained of but `expected`."""
        origin = "/".join(address.split("/")[:3])
        asked: list[str] = []
        said: list[str] = []

        context = chromium.new_context(**options)
        context.set_default_timeout(_PATIENCE)
        page = context.new_page()
        # Not by a route, which would keep the browser from using its cache.
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on("websocket", lambda socket: asked.append(socket.url))
        try:
            page.goto(address)
            yield page
        finally:
            context.close()
        ours = (f"{origin}/", f"{origin.replace('http', 'ws')}/graphql", "data:")
        assert [url for url in asked if not url.startswith(ours)] == []
        assert [text for text in said if not re.search(expected, text)] == []

    return open_page


@pytest.fixture(scope="session")
def sources() -> Iterator[Upstream]:
    """Lend what plays the sources of the servers that tests share."""
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, sources: Upstream) -> Iterator[Process]:
    """Lend a server that has refreshed once."""
    with serving(tmp_path_factory.mktemp("open"), **sources.environment) as process:
        process.wait_until_said("countries from geonames")
        yield process


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory, sources: Upstream) -> Iterator[Process]:
    """Lend a server that has refreshed once, and asks for TOKEN to do it again."""
    given = {**sources.environment, "ADMIN_TOKEN": TOKEN}
    with serving(tmp_path_factory.mktemp("guarded"), **given) as process:
        process.wait_until_said("countries from geonames")
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

    def look(page: Page) -> list[str]:
        # One row is like another, and each of the 2000 cells takes its time.
        page.evaluate("document.querySelectorAll('tr:nth-child(n+12)').forEach((r) => r.remove())")
        page.evaluate(script)
        found = page.evaluate("axe.run()")
        assert len(found["passes"]) > 15
        return [
            f"{rule['id']}: {node['html'][:200]}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]

    return look
