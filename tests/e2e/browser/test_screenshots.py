"""The pictures of docs/, made anew by `SCREENSHOTS=1 python -m pytest -n 0 tests/e2e/browser/test_screenshots.py`."""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from PIL import Image

from tests.e2e.browser.conftest import OpenPage
from tests.support.paths import ROOT
from tests.support.processes import BUNDLED_SOURCES, Process, running_server

pytestmark = pytest.mark.slow
MAX_BYTES = 150_000
DESKTOP = {"viewport": {"width": 1280, "height": 1600}}


class Picture(NamedTuple):
    """A part of a page, and the browser's options."""

    path: str
    selector: str
    options: dict[str, Any]


PICTURES = {
    "landing": Picture("/", "body", DESKTOP),
    "landing-dark": Picture("/", "body", {**DESKTOP, "color_scheme": "dark"}),
    "landing-phone": Picture("/", "body", {"viewport": {"width": 390, "height": 844}}),
    "map": Picture("/", "#map", DESKTOP),
    "country": Picture("/countries/CH", "body", {"viewport": {"width": 1280, "height": 1000}}),
    "playground": Picture("/graphql", "body .view-line", {"viewport": {"width": 1280, "height": 800}}),
}


def find_folder(tmp_path: Path) -> Path:
    """Return the folder of the pictures: docs/ if they are to be made anew."""
    return ROOT / "docs" if "SCREENSHOTS" in os.environ else tmp_path


@pytest.fixture(scope="module")
def bundled_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server with the bundled data, so that no picture shows figures of the tests."""
    with running_server(tmp_path_factory.mktemp("server"), **BUNDLED_SOURCES) as server:
        yield server


@pytest.mark.parametrize("name", PICTURES)
def test_screenshot(bundled_server: Process, opening: OpenPage, tmp_path: Path, name: str) -> None:
    """A picture is a PNG with a palette, of at most 150 kB."""
    path, selector, options = PICTURES[name]
    with opening(f"{bundled_server.url}{path}", **options) as page:
        part = page.locator(selector).first
        part.wait_for()
        if name == "playground":
            page.get_by_role("button", name="Execute query").click()
            page.locator(".result-window").get_by_text("totalCount").wait_for()
            page.mouse.move(0, 0)  # away from the tooltip
        else:
            page.wait_for_load_state("networkidle")  # images in sight are loaded late
        shot = page.screenshot() if selector.startswith("body") else part.screenshot()
    file = find_folder(tmp_path) / f"{name}.png"
    Image.open(io.BytesIO(shot)).convert("RGB").quantize(128).save(file, optimize=True)
    assert file.stat().st_size < MAX_BYTES


def test_summary(bundled_server: Process, tmp_path: Path) -> None:
    """The summary image is a picture as the server sends it."""
    body = httpx.get(f"{bundled_server.url}/images/summary.png").content
    (find_folder(tmp_path) / "summary.png").write_bytes(body)
    assert len(body) < MAX_BYTES
