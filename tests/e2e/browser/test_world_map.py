"""The world map in a browser: by pointer, by keyboard, without JavaScript, and by axe."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser.conftest import OpenPage
from tests.support.processes import Process

pytestmark = pytest.mark.slow


def test_pointer_and_keys(opening: OpenPage, server: Process) -> None:
    """The country under the pointer, or that the arrow keys reach, is outlined and has its value below the map."""
    with opening(f"{server.url}/?map=region") as page:
        value, marker = page.locator(".world-value"), page.locator(".world-view .marker")
        expect(value).to_have_text("Point at a country for its value, or move with the arrow keys.")
        page.locator('[href="countries/BR"] path').hover()
        expect(value).to_have_text("Brazil: Americas")
        assert str(marker.get_attribute("d")).startswith("M")
        page.mouse.move(0, 0)
        expect(marker).to_have_attribute("d", "")
        page.locator(".measures [aria-current]").focus()
        page.keyboard.press("Tab")
        expect(page.locator(".world-view")).to_be_focused()
        first = str(value.text_content())
        page.keyboard.press("ArrowDown")
        expect(value).not_to_have_text(first)
        page.keyboard.press("Escape")
        expect(marker).to_have_attribute("d", "")
        page.keyboard.press("Tab")
        expect(page.locator(".world summary")).to_be_focused()


def test_enter_opens_the_country(opening: OpenPage, server: Process) -> None:
    """Enter opens the page of the country that the arrow keys reached."""
    with opening(server.url, expected="404") as page:
        page.locator(".world-view").focus()
        page.keyboard.press("ArrowRight")
        name = str(page.locator(".world-value").text_content()).partition(":")[0]
        href = page.locator("#map tbody a", has_text=name).first.get_attribute("href")
        page.keyboard.press("Enter")
        page.wait_for_url(f"{server.url}/{href}")


def test_without_javascript(opening: OpenPage, server: Process) -> None:
    """Without JavaScript a link chooses the measure, keeps the order, and the table opens."""
    with opening(f"{server.url}/?sort=population", java_script_enabled=False) as page:
        page.get_by_role("link", name="GDP per capita", exact=True).click()
        assert "sort=population" in page.url
        assert "map=gdp_per_capita" in page.url
        page.locator(".world summary").click()
        expect(page.get_by_role("region", name="Table of the map")).to_be_visible()


@pytest.mark.parametrize(
    "options", [{"color_scheme": "dark"}, {"forced_colors": "active", "viewport": {"width": 360, "height": 800}}]
)
def test_accessible(
    opening: OpenPage, server: Process, axe: Callable[[Page], list[str]], options: dict[str, object]
) -> None:
    """Axe finds nothing, and the map is no wider than the page."""
    with opening(f"{server.url}/?map=population_density", **options) as page:
        box = page.locator(".world-view").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= page.evaluate("document.documentElement.clientWidth")
        page.locator(".world summary").click()
        assert axe(page) == []
