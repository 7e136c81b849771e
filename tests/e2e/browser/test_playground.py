"""The playground in a browser without other hosts: its tabs work unchanged."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser.conftest import OpenPage
from tests.support.fake_providers.server import COUNTRIES, FakeResponse, Upstream
from tests.support.processes import Process
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow


def run_tab(page: Page, tab: str) -> None:
    """Select a tab and run its operation."""
    page.get_by_role("tab", name=tab).click()
    expect(page.locator(".graphiql-query-editor")).to_contain_text(f" {tab} {{")
    # GraphiQL reads the name of the operation 0.1 s later.
    page.evaluate("new Promise((done) => setTimeout(done, 300))")
    page.get_by_role("button", name="Execute query").click()


def test_tabs(server: Process, sources: Upstream, opening: OpenPage) -> None:
    """The initial query, mutation and subscription run."""
    released = threading.Event()
    with opening(f"{server.url}/graphql") as page, ThreadPoolExecutor() as executor:
        result_window = page.locator(".result-window")
        run_tab(page, "Graph")
        expect(result_window).to_contain_text('"name": "Suisse"')
        run_tab(page, "Groups")
        expect(result_window).to_contain_text('"Asia"')
        run_tab(page, "Search")
        expect(result_window).to_contain_text('"matched": "Germany"')
        run_tab(page, "Convert")
        expect(result_window).to_contain_text('"code": "JPY"')
        run_tab(page, "Countries")
        expect(result_window).to_contain_text('"name": "Russia"')
        run_tab(page, "Refresh")
        expect(result_window).to_contain_text('"totalCountries": 250')
        sources.set_responses("countries", FakeResponse(body=COUNTRIES, hold_until=released.is_set))
        refresh = executor.submit(server.query, "mutation { refreshCountries { totalCountries } }")
        run_tab(page, "Progress")
        expect(result_window).to_contain_text('"phase": "FETCHING"')
        released.set()
        expect(result_window).to_contain_text('"phase": "DONE"')
        expect(result_window).to_contain_text('"fraction": 1')
        assert refresh.result() == {"data": {"refreshCountries": {"totalCountries": 250}}}


def test_waiting_subscription(server: Process, opening: OpenPage) -> None:
    """An idle subscription shows that it waits, shows a later refresh, and stops at the button."""
    with opening(f"{server.url}/graphql") as page:
        result_window = page.locator(".result-window")
        run_tab(page, "Progress")
        expect(result_window).to_contain_text("Waiting for a refresh to start.")
        assert server.query("mutation { refreshCountries { totalCountries } }").keys() == {"data"}
        expect(result_window).to_contain_text('"phase": "DONE"')
        page.get_by_role("button", name="Stop query").click()
        wait_until(lambda: "graphql_api_subscriptions 0.0\n" in server.get("/metrics").text)


def test_everything_opens(server: Process, opening: OpenPage) -> None:
    """Explorer, documentation and dialogs open without a CSP violation."""
    with opening(f"{server.url}/graphql") as page:
        for name in ("Documentation Explorer", "History", "GraphiQL Explorer"):
            page.get_by_role("button", name=f"Show {name}").click()
            expect(page.get_by_role("button", name=f"Hide {name}")).to_be_visible()
            if name == "Documentation Explorer":
                expect(page.get_by_text("Root Types")).to_be_visible()
        for name in ("settings", "short keys"):
            page.get_by_role("button", name=f"Open {name} dialog").click()
            expect(page.get_by_role("dialog")).to_be_visible()
            page.keyboard.press("Escape")
            expect(page.get_by_role("dialog")).to_be_hidden()
        page.get_by_role("tab", name="Countries").click()
        editor = page.locator(".graphiql-query-editor .CodeMirror-code")
        editor.click()
        page.keyboard.press("Control+End")
        page.keyboard.type("{ countr")
        page.keyboard.press("Control+Space")
        expect(page.locator(".CodeMirror-hints")).to_contain_text("countries")


def test_weight(server: Process, opening: OpenPage) -> None:
    """A second visit loads the files from the browser cache."""
    with opening(f"{server.url}/graphql") as page:
        expect(page.get_by_role("tab", name="Countries")).to_be_visible()
        resource_sizes_script = (
            "performance.getEntriesByType('resource').map((e) =>"
            " [e.name.split('/').pop(), e.encodedBodySize, e.transferSize])"
        )
        # The browser loads the icon last. A reload before that would load it a second time.
        wait_until(lambda: "icon.svg" in str(page.evaluate(resource_sizes_script)))
        first_visit: list[tuple[str, int, int]] = page.evaluate(resource_sizes_script)
        ready: float = page.evaluate("performance.now()")
        print(f"tabs after {ready:.0f} ms; bytes: {first_visit}")
        assert sum(size for _, size, _ in first_visit) < 1_500_000
        page.reload()
        expect(page.get_by_role("tab", name="Countries")).to_be_visible()
        second_visit: list[tuple[str, int, int]] = page.evaluate(resource_sizes_script)
        assert [resource for resource in second_visit if "." in resource[0] and resource[2]] == []
