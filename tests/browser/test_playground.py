"""The playground in a browser that reaches nothing else: its three tabs run as they are."""

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opening
from tests.cli.running import PATIENCE, Process

pytestmark = pytest.mark.slow


def run(page: Page, tab: str) -> None:
    """Choose a tab, and run what is in it."""
    page.get_by_role("tab", name=tab).click()
    page.get_by_role("button", name="Execute query").click()


def test_tabs(server: Process, opening: Opening) -> None:
    """A query, the mutation and the subscription are there to begin with, and run."""
    with opening(f"{server.url}/graphql") as page:
        answer = page.locator(".result-window")
        run(page, "Countries")
        expect(answer).to_contain_text('"name": "Russia"')
        run(page, "Refresh")
        expect(answer).to_contain_text('"totalCountries": 250')
        with page.expect_websocket() as listening:
            run(page, "Progress")
        listening.value.wait_for_event("framesent", lambda frame: "refreshProgress" in str(frame))
        refresh = {"query": "mutation { refreshCountries { id } }"}
        httpx.post(f"{server.url}/graphql", json=refresh, trust_env=False, timeout=PATIENCE)
        expect(answer).to_contain_text('"phase": "DONE"')
        expect(answer).to_contain_text('"fraction": 1')


def test_everything_opens(server: Process, opening: Opening) -> None:
    """The explorer, the documentation and the dialogs open without a word from the policy."""
    with opening(f"{server.url}/graphql") as page:
        for name in ("Documentation Explorer", "History", "GraphiQL Explorer"):
            page.get_by_role("button", name=f"Show {name}").click()
            expect(page.get_by_role("button", name=f"Hide {name}")).to_be_visible()
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
