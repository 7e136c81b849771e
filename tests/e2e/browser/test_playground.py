"""The playground in a browser without other hosts: its tabs work unchanged, and its policy blocks nothing of it."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from graphql_api.http.site.playground_link import build_playground_link
from tests.e2e.browser.conftest import TOKEN, FindViolations, OpenPage
from tests.support.fake_providers.server import COUNTRIES, FakeResponse, Upstream
from tests.support.processes import Process
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow

TALL = {"width": 1280, "height": 1600}
"""The editor renders visible lines only."""
PHONE = {"width": 360, "height": 740}
CODE_QUERY = "query Mine($code: String) { country(code: $code) { name } }"
MUTATION = "mutation { refreshCountries { totalCountries } }"


def wait_for_editor(page: Page) -> None:
    """Wait until the editor shows a text. Before that, it misses what is done with the tabs and buttons around it."""
    expect(page.locator(".graphiql-query-editor .view-line").first).to_be_visible()


def find_tab(page: Page, name: str) -> Locator:
    """Return a button of GraphiQL's tabs."""
    return page.get_by_role("list", name="Select active operation").get_by_role("button", name=name, exact=True)


def run_query(page: Page) -> None:
    """Run the operation of the selected tab."""
    wait_for_editor(page)
    # GraphiQL reads the name of the operation 0.1 s later.
    page.evaluate("new Promise((done) => setTimeout(done, 300))")
    page.get_by_role("button", name="Execute query").click()


def run_tab(page: Page, tab: str) -> None:
    """Select a tab and run its operation."""
    wait_for_editor(page)
    find_tab(page, tab).click()
    expect(page.locator(".graphiql-query-editor")).to_contain_text(f" {tab} {{")
    run_query(page)


def test_tabs(server: Process, sources: Upstream, opening: OpenPage) -> None:
    """The initial queries, mutation and subscription run."""
    released = threading.Event()
    with opening(f"{server.url}/graphql", viewport=TALL) as page, ThreadPoolExecutor() as executor:
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
        sources.set_responses("countries", FakeResponse(body=COUNTRIES, hold_until=released.is_set))
        run_tab(page, "Refresh")
        expect(result_window).to_contain_text('"phase": "FETCHING"')
        released.set()
        expect(result_window).to_contain_text('"totalCountries": 250')
        released.clear()
        refresh = executor.submit(server.query, MUTATION)
        run_tab(page, "Progress")
        expect(result_window).to_contain_text('"phase": "FETCHING"')
        released.set()
        expect(result_window).to_contain_text('"phase": "DONE"')
        expect(result_window).to_contain_text('"fraction": 1')
        assert refresh.result() == {"data": {"refreshCountries": {"totalCountries": 250}}}


def test_waiting_subscription(server: Process, opening: OpenPage) -> None:
    """An idle subscription waits, shows a later refresh, and stops at the button; a lost server is reported."""
    with opening(f"{server.url}/graphql", expected="ERR_INTERNET_DISCONNECTED") as page:
        result_window = page.locator(".result-window")
        run_tab(page, "Progress")
        expect(result_window).to_contain_text("Waiting for a refresh to start.")
        assert server.query(MUTATION).keys() == {"data"}
        expect(result_window).to_contain_text('"phase": "DONE"')
        page.get_by_role("button", name="Stop query").click()
        wait_until(lambda: "graphql_api_subscriptions 0.0\n" in server.get("/metrics").text)
        page.context.set_offline(True)
        run_tab(page, "Search")
        expect(result_window).to_contain_text('"message": "The server did not respond: Failed to fetch."')
        expect(result_window).not_to_contain_text("stack")


def test_link(server: Process, opening: OpenPage) -> None:
    """A link opens a query in a tab and runs nothing; a copied link has what is edited, and no server sees it."""
    link = build_playground_link(CODE_QUERY, {"code": "FR"})
    with opening(f"{server.url}/{link}", permissions=["clipboard-read", "clipboard-write"]) as page:
        expect(find_tab(page, "Mine")).to_have_attribute("aria-current", "true")
        expect(page.locator(".graphiql-query-editor")).to_contain_text(CODE_QUERY)
        assert page.url == f"{server.url}/graphql"
        assert page.locator(".result-window .view-lines").inner_text().strip() == ""
        run_query(page)
        expect(page.locator(".result-window")).to_contain_text('"name": "France"')
        page.get_by_role("button", name="Share link").click()
        expect(page.get_by_text("Link copied")).to_be_visible()
        copied: str = page.evaluate("navigator.clipboard.readText()")
        # A link to the page on the page itself.
        page.goto(f"{server.url}/{build_playground_link('query Other { __typename }')}")
        expect(find_tab(page, "Other")).to_have_attribute("aria-current", "true")
        # A damaged link.
        page.goto(f"{server.url}/graphql#query=&variables=%7B")
        expect(page.get_by_text("The link has no query")).to_be_visible()
        page.goto(f"{server.url}/graphql#query=%7Ba%7D&variables=%7B")
        expect(page.get_by_text("The variables of the link are no JSON")).to_be_visible()
    shared = urlsplit(copied)
    assert (f"{shared.scheme}://{shared.netloc}", shared.path, shared.query) == (server.url, "/graphql", "")
    parameters = parse_qs(shared.fragment, strict_parsing=True)
    assert (parameters["query"], json.loads(parameters["variables"][0])) == ([CODE_QUERY], {"code": "FR"})
    assert "Mine" not in server.stderr


def test_token(protected_server: Process, opening: OpenPage) -> None:
    """A mutation that needs the token asks for it, again if it is wrong, and keeps it for this window only."""
    query = MUTATION.replace("mutation", "mutation Mine")
    with opening(f"{protected_server.url}/{build_playground_link(query)}") as page:
        result_window, dialog = page.locator(".result-window"), page.get_by_role("dialog")
        run_query(page)
        expect(dialog).to_contain_text("This operation requires the administrator’s token.")
        dialog.get_by_role("button", name="Cancel").click()
        expect(result_window).to_contain_text('"code": "UNAUTHENTICATED"')
        run_query(page)
        dialog.get_by_label("Token").fill("wrong-wrong-wrong-wrong")
        dialog.get_by_role("button", name="Use it").click()
        expect(dialog).to_contain_text("The server does not accept this token.")
        dialog.get_by_label("Token").fill(TOKEN)
        page.keyboard.press("Enter")
        expect(result_window).to_contain_text('"totalCountries": 250')
        expect(dialog).to_be_hidden()
        assert TOKEN not in page.evaluate("JSON.stringify(localStorage)")
        page.get_by_role("button", name="Token").click()
        dialog.get_by_role("button", name="Forget it").click()
        assert page.evaluate("sessionStorage.length") == 0


@pytest.mark.parametrize(
    "options", [{"color_scheme": "light", "viewport": TALL}, {"color_scheme": "dark", "viewport": PHONE}]
)
def test_everything_opens(
    protected_server: Process, opening: OpenPage, axe: FindViolations, options: dict[str, Any]
) -> None:
    """Explorer, documentation, dialogs, completion and formatting work without a violation of CSP or accessibility."""
    violations: dict[str, list[str]] = {}
    with opening(f"{protected_server.url}/graphql", **options) as page:
        run_query(page)
        expect(page.locator(".result-window")).to_contain_text('"name": "Russia"')
        for name in ("Documentation Explorer", "History", "GraphiQL Explorer"):
            page.get_by_role("button", name=f"Show {name}").click()
            expect(page.get_by_role("button", name=f"Hide {name}")).to_be_visible()
            if name == "Documentation Explorer":
                page.get_by_role("link", name="Query", exact=True).click()
                page.get_by_role("combobox", name="Search").fill("countr")
                expect(page.get_by_role("option").first).to_be_visible()
            violations[name] = axe(page)
        page.get_by_role("button", name="Hide GraphiQL Explorer").click()
        for name in ("settings", "short keys"):
            page.get_by_role("button", name=f"Open {name} dialog").click()
            expect(page.get_by_role("dialog")).to_be_visible()
            violations[name] = axe(page)
            page.keyboard.press("Escape")
            expect(page.get_by_role("dialog")).to_be_hidden()
        page.get_by_role("button", name="Token").click()
        violations["token"] = axe(page)
        page.keyboard.press("Escape")
        page.get_by_role("button", name="New tab").click()
        editor = page.locator(".graphiql-query-editor")
        editor.locator(".view-lines").click()
        page.keyboard.type("{ countr")
        page.keyboard.press("Control+Space")
        expect(page.locator(".suggest-widget")).to_contain_text("countries")
        violations["completion"] = axe(page)
        page.keyboard.press("Escape")
        page.keyboard.press("Control+a")
        page.keyboard.type("{status{version")
        page.get_by_role("button", name="Prettify").press("Enter")  # completion may cover it
        lines: list[str | re.Pattern[str]] = [
            "{",
            re.compile(r"status\s{"),
            re.compile("version"),
            re.compile(r"\s}"),
            "}",
            "",
        ]
        expect(editor.locator(".view-line")).to_have_text(lines)
        editor.locator(".view-lines").click()
        page.keyboard.press("Escape")
        expect(editor.locator(".graphiql-editor")).to_be_focused()
        editor.locator(".view-lines").click(button="right")
        expect(page.get_by_role("menuitem", name="Run Operation")).to_be_visible()
        violations["menu"] = axe(page)
    assert {state: found for state, found in violations.items() if found} == {}


def test_weight(server: Process, opening: OpenPage) -> None:
    """A second visit loads the files from the browser cache."""
    with opening(f"{server.url}/graphql") as page:
        lines = page.locator(".graphiql-query-editor .view-line")
        expect(lines.first).to_be_visible()
        resource_sizes_script = (
            "performance.getEntriesByType('resource').map((e) =>"
            " [e.name.split('/').pop(), e.encodedBodySize, e.transferSize])"
        )
        ready: float = page.evaluate("performance.now()")
        # The browser loads the icon and the workers last. A reload before that would load them a second time.
        loaded_last = ("icon.svg", "editor.worker.js", "graphql.worker.js", "json.worker.js")
        wait_until(lambda: all(name in str(page.evaluate(resource_sizes_script)) for name in loaded_last))
        first_visit: list[tuple[str, int, int]] = page.evaluate(resource_sizes_script)
        print(f"editor after {ready:.0f} ms; {sum(size for _, size, _ in first_visit)} bytes: {first_visit}")
        assert sum(size for _, size, _ in first_visit) < 1_700_000
        page.reload()
        expect(lines.first).to_be_visible()
        second_visit: list[tuple[str, int, int]] = page.evaluate(resource_sizes_script)
        assert [resource for resource in second_visit if "." in resource[0] and resource[2]] == []
