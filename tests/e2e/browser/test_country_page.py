"""The page of a country in a browser: by axe, on a phone, and by keyboard."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser.conftest import OpenPage
from tests.support.processes import Process

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("options", [{}, {"color_scheme": "dark", "viewport": {"width": 360, "height": 800}}])
def test_accessible(
    opening: OpenPage, server: Process, axe: Callable[[Page], list[str]], options: dict[str, Any]
) -> None:
    """Axe finds nothing, and neither the page nor the table of figures scrolls sideways."""
    with opening(f"{server.url}/countries/CI", **options) as page:
        assert axe(page) == []
        overflows = page.evaluate(
            "[document.documentElement, document.querySelector('.scroll')].map((e) => e.scrollWidth - e.clientWidth)"
        )
        assert overflows == [0, 0]


def test_keyboard(opening: OpenPage, server: Process) -> None:
    """The keyboard converts money and reaches the query in the playground, with a visible focus."""
    with opening(f"{server.url}/countries/CH") as page:
        amount = page.get_by_label("Amount in CHF")
        for _ in range(30):
            page.keyboard.press("Tab")
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline == "solid"
            if amount.evaluate("(input) => input === document.activeElement"):
                break
        page.keyboard.type("250")
        page.keyboard.press("Enter")
        expect(page.locator("output")).to_contain_text("250 CHF = ")
        page.get_by_role("button", name="Convert").focus()
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Open it in the playground")).to_be_focused()
