"""The playground in a browser that reaches nothing else: its three tabs run as they are."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opening
from tests.cli.running import Process
from tests.upstream.server import COUNTRIES, Answer, Upstream

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]


def run(page: Page, tab: str) -> None:
    """Choose a tab, and run what is in it."""
    page.get_by_role("tab", name=tab).click()
    expect(page.locator(".graphiql-query-editor")).to_contain_text(f" {tab} {{")
    # GraphiQL looks a tenth of a second later what the operation is called.
    page.evaluate("new Promise((done) => setTimeout(done, 300))")
    page.get_by_role("button", name="Execute query").click()


def test_tabs(server: Process, sources: Upstream, opening: Opening) -> None:
    """A query, the mutation and the subscription are there to begin with, and run."""
    come = threading.Event()
    with opening(f"{server.url}/graphql") as page, ThreadPoolExecutor() as meanwhile:
        answer = page.locator(".result-window")
        run(page, "Countries")
        expect(answer).to_contain_text('"name": "Russia"')
        run(page, "Refresh")
        expect(answer).to_contain_text('"totalCountries": 250')
        sources.answer("countries", Answer(body=COUNTRIES, until=come.is_set))
        refresh = meanwhile.submit(server.query, "mutation { refreshCountries { totalCountries } }")
        run(page, "Progress")
        expect(answer).to_contain_text('"phase": "FETCHING"')
        come.set()
        expect(answer).to_contain_text('"phase": "DONE"')
        expect(answer).to_contain_text('"fraction": 1')
        assert refresh.result() == {"data": {"refreshCountries": {"totalCountries": 250}}}


def test_everything_opens(server: Process, opening: Opening) -> None:
    """The explorer, the documentation and the dialogs open without a word from the policy."""
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


def test_weight(server: Process, opening: Opening) -> None:
    """A second visit loads nothing of the megabytes that the first one did."""
    with opening(f"{server.url}/graphql") as page:
        expect(page.get_by_role("tab", name="Countries")).to_be_visible()
        loaded = (
            "performance.getEntriesByType('resource').map((e) =>"
            " [e.name.split('/').pop(), e.encodedBodySize, e.transferSize])"
        )
        first: list[tuple[str, int, int]] = page.evaluate(loaded)
        ready: float = page.evaluate("performance.now()")
        print(f"tabs after {ready:.0f} ms; bytes: {first}")
        assert sum(size for _, size, _ in first) < 1_500_000
        page.reload()
        expect(page.get_by_role("tab", name="Countries")).to_be_visible()
        again: list[tuple[str, int, int]] = page.evaluate(loaded)
        assert [one for one in again if "." in one[0] and one[2]] == []
