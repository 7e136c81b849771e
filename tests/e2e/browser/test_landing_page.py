"""The landing page in a browser: refresh, progress, sorting, filter and accessibility."""

import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.e2e.browser.conftest import TOKEN, OpenPage
from tests.support.fake_providers.server import COUNTRIES, FakeResponse, Upstream
from tests.support.processes import UNREACHABLE_SOURCES, Process, running_server

pytestmark = pytest.mark.slow

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
CONTEXT_OPTIONS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": PHONE,
    "dark-phone": {**PHONE, "color_scheme": "dark"},
}
RECORD_PROGRESS_SCRIPT = """() => {
  window.seen = [];
  const bar = document.querySelector("progress");
  new MutationObserver(() => { if (bar.hasAttribute("value")) window.seen.push(bar.value); })
    .observe(bar, { attributeFilter: ["value"] });
}"""
"""Records each value of the progress bar."""
SUM_LAYOUT_SHIFTS_SCRIPT = """() => new Promise((done) => {
  new PerformanceObserver((list) => done(list.getEntries().reduce((sum, { value }) => sum + (value ?? 0), 0)))
    .observe({ type: "layout-shift", buffered: true });
  new PerformanceObserver(() => setTimeout(() => done(0))).observe({ type: "paint", buffered: true });
})"""
"""Returns how far parts of the page have moved while it loaded: https://web.dev/articles/cls"""
FLAG_LETTERS = " " + "".join(map(chr, range(ord("🇦"), ord("🇿") + 1)))
"""Emoji, which the page shows if npm has not installed the flags."""


def country_names(page: Page) -> list[str]:
    """Return the names of the visible countries in order, each with its code and without its flag, if that is text."""
    return [text.lstrip(FLAG_LETTERS) for text in page.locator("main tbody tr:not([hidden]) th").all_inner_texts()]


def first_country(page: Page) -> str:
    """Return the name in the first row."""
    return country_names(page)[0]


def expect_status(page: Page) -> Any:  # noqa: ANN401 - what Playwright expects of
    """Return an expectation on the status of the refresh."""
    return expect(page.locator("#refresh [role=status]"))


def test_offline_refresh(tmp_path: Path, opening: OpenPage) -> None:
    """Without any live source the page names once those that failed, as a warning, and claims no refresh."""
    with running_server(tmp_path, **UNREACHABLE_SOURCES) as server, opening(server.url) as page:
        page.get_by_role("button", name="Refresh now").click()
        expect_status(page).to_have_class("warning")
        expect_status(page).to_contain_text("Live sources failed. Countries: the bundled data still serves (geonames:")
        assert "Refreshed" not in page.inner_text("body")


def test_refresh(server: Process, sources: Upstream, opening: OpenPage) -> None:
    """The button starts a refresh, the bar moves, and then the page shows the new data."""
    released = threading.Event()
    sources.set_responses("countries", FakeResponse(body=COUNTRIES, hold_until=released.is_set))
    with opening(server.url) as page:
        before = page.locator("picture img").get_attribute("src")
        page.evaluate(RECORD_PROGRESS_SCRIPT)
        page.get_by_role("button", name="Refresh now").click()
        expect(page.get_by_role("button", name="Refresh now")).to_be_disabled()
        expect(page.get_by_role("progressbar")).to_be_visible()
        expect(page.get_by_role("progressbar")).to_have_attribute("value", re.compile(r"0\.\d"))
        released.set()
        expect_status(page).to_contain_text("Refreshed 250 countries in ")
        expect_status(page).to_contain_text("0 new, 0 changed, 250 unchanged.")
        expect(page.get_by_role("progressbar")).to_be_hidden()
        expect(page.get_by_role("button", name="Refresh now")).to_be_enabled()
        progress_values: list[float] = page.evaluate("window.seen")
        after = page.locator("picture img").get_attribute("src")
    assert progress_values == sorted(progress_values)
    assert len(set(progress_values)) >= 4
    assert progress_values[-1] == 1
    assert before != after


def test_refresh_without_progress(server: Process, opening: OpenPage) -> None:
    """Without WebSocket the refresh runs without progress."""
    closed_urls: list[str] = []

    def close_socket(socket: WebSocketRoute) -> None:
        closed_urls.append(socket.url)
        socket.close()

    with opening(server.url) as page:
        page.route_web_socket("**", close_socket)
        page.evaluate(RECORD_PROGRESS_SCRIPT)
        page.get_by_role("button", name="Refresh now").click()
        expect_status(page).to_contain_text("Refreshed 250 countries in ")
        assert set(page.evaluate("window.seen")) == {1}
    assert len(closed_urls) == 1


def test_failure(tmp_path: Path, upstream: Upstream, opening: OpenPage) -> None:
    """A failed refresh shows the reason, also if the server is gone, and keeps the data."""
    sources = {
        "COUNTRIES_SOURCES": f"geonames={upstream.countries_url}",
        "RATES_SOURCES": f"er-api={upstream.rates_url}",
        "STATISTICS_SOURCES": f"world-bank={upstream.statistics_url}",
    }
    with running_server(tmp_path, **sources) as server:
        server.wait_for_log("countries from geonames")
        upstream.set_responses("countries", FakeResponse(status=404))
        with opening(server.url, expected="ERR_CONNECTION|WebSocket connection") as page:
            before = country_names(page)
            page.get_by_role("button", name="Refresh now").click()
            expect_status(page).to_contain_text("No source of countries could be used.")
            expect(page.locator("#refresh [role=status]")).to_have_class("error")
            expect(page.locator(".attempts summary")).to_contain_text("refreshes, 1 failed")
            server.stop(signal.SIGKILL)
            page.get_by_role("button", name="Refresh now").click()
            expect_status(page).to_contain_text("The server did not respond.")
            assert country_names(page) == before


def test_token(protected_server: Process, opening: OpenPage) -> None:
    """The page requests the token when needed, again if it is wrong, and stores it for the tab."""
    refresh_count = protected_server.stderr.count("Refresh ")
    with opening(protected_server.url) as page:
        token = page.get_by_label("Admin token of this server")
        expect(token).to_be_hidden()
        page.get_by_text("For administrators").click()
        page.get_by_role("button", name="Refresh now").click()
        expect_status(page).to_have_text("A refresh requires the admin token.")
        expect(token).to_be_focused()
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        expect_status(page).to_have_text("Wrong token.")
        expect(token).to_be_focused()
        assert protected_server.stderr.count("Refresh ") == refresh_count
        page.keyboard.type(TOKEN)
        page.keyboard.press("Enter")
        expect_status(page).to_contain_text("Refreshed 250 countries in ")
        expect(token).to_be_hidden()
        page.get_by_role("button", name="Refresh now").click()
        expect(page.get_by_role("progressbar")).to_be_visible()
        expect(page.get_by_role("progressbar")).to_be_hidden()
        expect_status(page).to_contain_text("Refreshed 250 countries in ")
        assert TOKEN in page.evaluate("JSON.stringify({...sessionStorage})")
        assert page.evaluate("localStorage.length + document.cookie.length") == 0
        assert TOKEN not in page.content() + page.url
    assert protected_server.stderr.count("Refresh ") == refresh_count + 2


def test_filter(server: Process, opening: OpenPage) -> None:
    """The filter shows matching rows, whatever the case, accent or apostrophe."""
    with opening(server.url) as page:
        field = page.get_by_label("Filter")
        for filter_text, expected_names in {
            "COTE D'IV": ["Côte d’Ivoire CI"],
            "aland": ["Åland Islands AX"],
            "usa": ["United States US"],
            "oceania  usd": ["American Samoa AS"],
            "no such country": [],
        }.items():
            field.fill(filter_text)
            row = page.locator("main tbody tr").first
            expect(row).to_contain_text(expected_names[0] if expected_names else "No country matches no such country.")
        expect(page.locator("#filter [role=status]")).to_have_text("0 of 250")
        page.get_by_label("Region").select_option("Oceania")
        field.fill("")
        expect(page.locator("main tbody tr th").first).to_contain_text("American Samoa")
        assert page.url.endswith("/?region=Oceania")
        page.get_by_label("Region").select_option("All")
        expect(page.locator("main tbody tr")).to_have_count(250)
        expect(page.locator("#filter [role=status]")).to_have_text("")


def test_sort(server: Process, opening: OpenPage) -> None:
    """A heading sorts in place and reverses the order; filter, focus and history work."""
    with opening(server.url) as page:
        page.evaluate("window.same = true")
        page.get_by_label("Filter").fill("europe")
        expect(page.locator("#filter [role=status]")).to_contain_text(" of 250")
        heading = page.locator("main").get_by_role("link", name="Population")
        heading.click()
        expect(page.locator("th[aria-sort=descending]")).to_contain_text("Population")
        assert country_names(page)[0] == "Russia RU"
        expect(heading).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("th[aria-sort=ascending]")).to_contain_text("Population")
        assert re.search(r"[?&]sort=population&direction=asc", page.url)
        assert country_names(page)[0] != "Russia RU"
        page.go_back()
        expect(page.locator("th[aria-sort=descending]")).to_contain_text("Population")
        page.go_back()
        expect(page.locator("main caption")).to_contain_text("the best match first")
        assert page.evaluate("window.same") is True
        page.goto(f"{server.url}/?sort=population&direction=desc")
        assert first_country(page) == "China CN"


def test_without_scripts(server: Process, opening: OpenPage) -> None:
    """Without JavaScript the page has no refresh, and headings and the filter still work."""
    with opening(server.url, java_script_enabled=False) as page:
        expect(page.locator("main tbody tr")).to_have_count(250)
        expect(page.locator("#refresh")).to_be_hidden()
        expect(page.get_by_role("button", name="Copy").first).to_be_hidden()
        expect(page.locator("time").first).to_have_text(re.compile("just now|ago"))
        page.locator("main").get_by_role("link", name="Population").click()
        assert page.url.endswith("?sort=population&direction=desc")
        assert first_country(page) == "China CN"
        page.get_by_label("Filter").fill("guinea")
        page.get_by_role("button", name="Show").click()
        assert page.url.endswith("?sort=population&direction=desc&q=guinea&region=")
        assert first_country(page) == "Guinea GN"
        page.get_by_role("link", name="Schema").click()
        assert page.url.endswith("/schema.graphql")


@pytest.mark.parametrize("options", CONTEXT_OPTIONS.values(), ids=CONTEXT_OPTIONS.keys())
def test_accessible(
    protected_server: Process, opening: OpenPage, axe: Callable[[Page], list[str]], options: dict[str, Any]
) -> None:
    """The page has no accessibility violation, fits the window and never moves; a phone has the countries first."""
    with opening(protected_server.url, **options) as page:
        page.wait_for_load_state("load")
        assert page.evaluate(SUM_LAYOUT_SHIFTS_SCRIPT) == 0
        assert axe(page) == []
        page.get_by_text("For administrators").click()
        page.get_by_role("button", name="Refresh now").click()
        expect_status(page).to_have_text("A refresh requires the admin token.")
        assert axe(page) == []
        page.evaluate("document.querySelector('progress').hidden = false")
        page.evaluate("document.querySelector('#refresh [role=status]').className = 'error'")
        assert axe(page) == []
        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overflow == 0
        tops = page.evaluate("['main', 'section.data'].map((s) => document.querySelector(s).offsetTop)")
        assert tops == sorted(tops, reverse="viewport" not in options)


def test_keyboard(server: Process, opening: OpenPage) -> None:
    """The keyboard reaches the skip link, the links and the button in order."""
    with opening(server.url) as page:
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the countries")).to_be_focused()
        focused_texts = []
        for _ in range(20):
            page.keyboard.press("Tab")
            focused_texts.append(page.evaluate("document.activeElement.textContent.trim()"))
        assert focused_texts[:3] == ["Playground", "Schema", "Health"]
        assert "Refresh now" in focused_texts


def test_weight(server: Process, opening: OpenPage) -> None:
    """A first visit loads little, and a second one receives a 304."""
    with opening(server.url) as page:
        page.wait_for_load_state("load")
        entries: list[dict[str, Any]] = page.evaluate(
            "[...performance.getEntriesByType('navigation'),"
            " ...performance.getEntriesByType('resource')].map((entry) => entry.toJSON())"
        )
        sizes = {entry["name"].removeprefix(server.url): entry["encodedBodySize"] for entry in entries}
        [interactive] = [entry["domInteractive"] for entry in entries if "domInteractive" in entry]
        print(f"interactive after {interactive:.0f} ms; bytes: {sizes}")
        image_bytes = sum(size for name, size in sizes.items() if name.startswith("/images/"))
        flag_bytes = sum(size for name, size in sizes.items() if "/flags/" in name)
        assert 10_000 < sum(sizes.values()) - image_bytes - flag_bytes < 60_000
        assert 10_000 < image_bytes < 60_000
        page.reload()
        [second_visit] = page.evaluate("performance.getEntriesByType('navigation').map((e) => e.toJSON())")
        assert second_visit["transferSize"] < 1_000
