"""The pictures of docs/, made anew by `SCREENSHOTS=1 python -m pytest -n 0 tests/e2e/browser/test_screenshots.py`."""

import io
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.e2e.browser.conftest import OpenPage
from tests.support.paths import ROOT
from tests.support.processes import Process

pytestmark = pytest.mark.slow
MAX_BYTES = 150_000
DESKTOP = {"viewport": {"width": 1280, "height": 1600}}
PICTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "landing": ("body", DESKTOP),
    "landing-dark": ("body", {**DESKTOP, "color_scheme": "dark"}),
    "landing-phone": ("body", {"viewport": {"width": 390, "height": 844}}),
    "map": ("#map", DESKTOP),
}


@pytest.mark.parametrize("name", PICTURES)
def test_screenshot(server: Process, opening: OpenPage, tmp_path: Path, name: str) -> None:
    """A picture is a PNG with a palette, of at most 150 kB."""
    selector, options = PICTURES[name]
    with opening(server.url, **options) as page:
        page.wait_for_load_state("networkidle")
        shot = page.screenshot() if selector == "body" else page.locator(selector).screenshot()
    folder = ROOT / "docs" if "SCREENSHOTS" in os.environ else tmp_path
    file = folder / f"{name}.png"
    Image.open(io.BytesIO(shot)).convert("RGB").quantize(128).save(file, optimize=True)
    assert file.stat().st_size < MAX_BYTES
