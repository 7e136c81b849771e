"""Each country has a page, found by code and name, with figures, links, a converter and structured data."""

import pytest

from graphql_api.http.site.country_page import COUNTRY_QUERY
from tests.support.app import AppClient
from tests.support.html import HTMLPage

pytestmark = pytest.mark.asyncio(loop_scope="module")
BROWSER = {"Accept": "text/html"}


async def test_page(server: AppClient) -> None:
    """A page has names, figures with their sources, neighbours as links, a map, and its own card for previews."""
    response = await server.get("/countries/FR")
    assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-cache")
    assert "form-action 'self'" in response.headers["Content-Security-Policy"]
    page = HTMLPage(response.text)
    for text in (
        "France",
        "French Republic",
        "FR, FRA, 250",
        "French (official)",
        "Euro (EUR)",
        "68,374,600",
        "547,030",
    ):
        assert text in page.text
    links = {str(link["href"]) for link in page.find_all("a")}
    assert {"../", "FI", "GF", "BE", "CH", "DE", "ES"} <= links
    assert [meta["content"] for meta in page.find_all("meta") if meta.get("property") == "og:image"] == [
        "http://countries.localhost:8000/images/summary.png?country=FR"
    ]
    files = [str(link["href"]) for link in page.find_all("link") if link["rel"] != "canonical"]
    assert [(await server.get(f"/countries/{file}")).status_code for file in files if ".." not in file] == []
    assert [(await server.get(file.removeprefix(".."))).status_code for file in files] == [200] * 4


@pytest.mark.slow
async def test_every_page(server: AppClient) -> None:
    """Every country has a page, also one without people, money, neighbours or an area."""
    data = await server.query("{ countries { nodes { code name } } }")
    for country in data["countries"]["nodes"]:
        response = await server.get(f"/countries/{country['code']}")
        assert response.status_code == 200
        assert country["name"] in HTMLPage(response.text).text


@pytest.mark.parametrize(
    ("name", "code"),
    [("fr", "FR"), ("FRA", "FR"), ("France", "FR"), ("ivory-coast", "CI"), ("Côte d’Ivoire", "CI"), ("usa", "US")],
)
async def test_names(server: AppClient, name: str, code: str) -> None:
    """Other spellings redirect to the code, with the query, by a relative URL that no Host header can change."""
    response = await server.get(f"/countries/{name}?to=USD", Host="evil.example")
    assert (response.status_code, response.headers["Location"]) == (302, f"{code}?to=USD")


async def test_unknown_names(server: AppClient) -> None:
    """An unknown name is a 404 with suggestions, as text and as a page that escapes it."""
    response = await server.get("/countries/germny")
    assert (response.status_code, response.text) == (
        404,
        "No country has the code or the name 'germny'. Did you mean DE (Germany)?\n",
    )
    links = HTMLPage((await server.get("/countries/germny", **BROWSER)).text).find_all("a")
    assert links[0]["href"] == "../countries/DE"
    page = await server.get("/countries/%3Cscript%3E", **BROWSER)
    assert (page.status_code, "<script" in page.text) == (404, False)
    assert len((await server.get(f"/countries/{'x' * 10_000}")).text) < 200


async def test_converter(server: AppClient) -> None:
    """The form converts the country's money without JavaScript, as GraphQL does."""
    page = HTMLPage((await server.get("/countries/CH?amount=250&to=jpy")).text)
    data = await server.query('{ convert(amount: 250, from: "CHF", to: ["JPY"]) { amount } }')
    assert f"250 CHF = {data['convert'][0]['amount']:,.0f} JPY" in page.text
    [selected] = [option for option in page.find_all("option") if "selected" in option]
    assert selected["value"] == "JPY"
    assert "Convert" not in HTMLPage((await server.get("/countries/AQ")).text).text


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("amount=x", "amount must be a finite number of 0 or more, not 'x'."),
        ("amount=-1&to=USD", "amount must be a finite number of 0 or more, not '-1'."),
        ("amount=1_0&to=USD", "amount must be a finite number of 0 or more, not '1_0'."),
        ("amount=٣&to=USD", "amount must be a finite number of 0 or more, not '٣'."),
        ("amount=1e999&to=USD", "amount must be a finite number of 0 or more, not '1e999'."),
        ("amount=infinity&to=USD", "amount must be a finite number of 0 or more, not 'infinity'."),
        ("to=EURO", "to must name currencies in use by ISO 4217 code, not 'EURO'."),
    ],
)
async def test_wrong_forms(server: AppClient, query: str, message: str) -> None:
    """A wrong amount or currency is a 400 that names what is right."""
    response = await server.get(f"/countries/FR?{query}")
    assert (response.status_code, response.json()) == (400, {"detail": message})


async def test_query(server: AppClient) -> None:
    """The query of the page gives its country, and the playground's link has it with its variables."""
    data = (await server.post({"query": COUNTRY_QUERY, "variables": {"code": "FR"}})).json()
    assert data["data"]["country"]["neighbours"][0] == {"code": "AD", "name": "Andorra"}
    page = HTMLPage((await server.get("/countries/FR")).text)
    [link] = [str(link["href"]) for link in page.find_all("a") if "graphql#" in str(link["href"])]
    assert link.startswith("../graphql#query=query%20Country")
    assert link.endswith("variables=%7B%22code%22%3A%20%22FR%22%7D")


async def test_robots(server: AppClient) -> None:
    """Search engines are led to the pages, and not to the API."""
    assert (await server.get("/robots.txt")).text == (
        "User-agent: *\nDisallow: /graphql\nAllow: /\n\nSitemap: http://countries.localhost:8000/sitemap.xml\n"
    )
    sitemap = await server.get("/sitemap.xml")
    assert sitemap.headers["Content-Type"] == "application/xml"
    assert sitemap.text.count("<url>") == 251
    assert "<loc>http://countries.localhost:8000/countries/FR</loc>" in sitemap.text
