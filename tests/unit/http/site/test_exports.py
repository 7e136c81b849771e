"""Exports have the rows of the landing page's table, as files that other programs read."""

import csv
import io
from typing import Any

import orjson
import pytest

from graphql_api.http.site.exports import COLUMNS, encode_csv, encode_json
from tests.support.app import AppClient
from tests.support.factories import HARD_TEXTS, make_country, make_sparse_country

pytestmark = pytest.mark.asyncio(loop_scope="module")
HEADER = (
    "code,name,capital,region,population,populationYear,areaKm2,currencyCode,exchangeRate,gdp,gdpYear,estimatedGdp\r\n"
)


def read_csv(text: str) -> list[dict[str, str]]:
    """Return the records of a file with a header."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def test_csv() -> None:
    """A file follows RFC 4180, with CRLF and quotes where needed, doubled within; numbers are raw and null is empty."""
    people = {"population": 1234567, "statistics_population": 1234567}
    rows = [make_country("FR", name='A "b", c\nd', **people), make_sparse_country("AQ", population=0)]
    assert encode_csv(rows) == (
        f"{HEADER}"
        'FR,"A ""b"", c\nd",City FR,Europe,1234567,2024,50.5,EUR,0.5,5000000.0,2023,3000000.0\r\n'
        "AQ,Land AQ,,,0,,,,,,,\r\n"
    )
    assert encode_csv([]) == HEADER


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
async def test_formulas(start: str) -> None:
    """A text that a spreadsheet would execute is a text there; numbers stay numbers."""
    name = f'{start}HYPERLINK("https://evil.example","x")'
    [record] = read_csv(encode_csv([make_country("FR", name=name, exchange_rate=-1.5)]))
    assert (record["name"], record["exchangeRate"]) == (f"'{name}", "-1.5")
    [fields] = orjson.loads(encode_json([make_country("FR", name=name)]))
    assert fields["name"] == name


@pytest.mark.parametrize("text", HARD_TEXTS)
async def test_texts(text: str) -> None:
    """Any other text comes back as it was, from both formats."""
    rows = [make_country("FR", name=text), make_country("DE")]
    assert [record["name"] for record in read_csv(encode_csv(rows))] == [text, "Land DE"]
    assert [fields["name"] for fields in orjson.loads(encode_json(rows))] == [text, "Land DE"]


async def test_json(server: AppClient) -> None:
    """The JSON has the names and values of GraphQL, in the order of the table."""
    response = await server.get("/countries.json?region=europe&sort=areaKm2")
    assert response.headers["Content-Type"] == "application/json"
    data: dict[str, Any] = await server.query(
        f'{{ countries(filter: {{region: {{eq: "Europe"}}}}, sort: {{field: AREA_KM2, direction: DESC}}) '
        f"{{ nodes {{ {' '.join(COLUMNS)} }} }} }}"
    )
    assert response.json() == data["countries"]["nodes"]
    assert response.json()[0]["name"] == "Russia"


async def test_response(server: AppClient) -> None:
    """A CSV is downloaded under a name, is revalidated, and is the same text in every encoding."""
    response = await server.get("/countries.csv?q=usa")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert response.headers["Content-Disposition"] == 'attachment; filename="countries.csv"'
    assert response.headers["Cache-Control"] == "no-cache"
    assert [record["code"] for record in read_csv(response.text)][:2] == ["US", "IL"]
    for encoding in ("br", "gzip", "identity"):
        encoded = await server.get("/countries.csv?q=usa", Accept_Encoding=encoding)
        assert encoded.headers.get("Content-Encoding", "identity") == encoding
        assert encoded.text == response.text
        tag = encoded.headers["ETag"]
        again = await server.get("/countries.csv?q=usa", Accept_Encoding=encoding, If_None_Match=tag)
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    other = await server.get("/countries.csv", If_None_Match=response.headers["ETag"])
    assert (other.status_code, len(read_csv(other.text))) == (200, 250)
    assert (await server.client.head("/countries.csv")).headers["Content-Length"] == other.headers["Content-Length"]


async def test_nothing_found(server: AppClient) -> None:
    """Without a match there is a header, or an empty list."""
    assert (await server.get("/countries.csv?q=xyzzy")).text == HEADER
    assert (await server.get("/countries.json?q=xyzzy")).text == "[]"


@pytest.mark.parametrize("path", ["/countries.csv", "/countries.json"])
async def test_wrong_parameters(server: AppClient, path: str) -> None:
    """A wrong parameter is a 400 that names it and what is right; a wrong method a 405."""
    response = await server.get(f"{path}?region=Urope&direction=up&sort=name", If_None_Match="*")
    assert (response.status_code, response.json()) == (
        400,
        {
            "detail": "region must be one of Africa, Americas, Antarctica, Asia, Europe, Oceania, not 'Urope'. "
            "direction must be one of asc, desc, not 'up'."
        },
    )
    assert (await server.client.post(path)).status_code == 405
