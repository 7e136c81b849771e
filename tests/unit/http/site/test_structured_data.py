"""Search engines get the data set and the countries as JSON-LD, in which no text can end the element."""

from typing import Any

import orjson
import pytest

from graphql_api.domain.country import BUNDLED
from graphql_api.http.site.page import PageHead
from graphql_api.http.site.structured_data import describe_dataset
from tests.support.app import AppClient
from tests.support.factories import REFRESHED_AT, make_country, make_snapshot

HEAD = PageHead(title="All </script>", description="Figures", base_url="https://a.example/x")
CLDR = "Unicode CLDR (https://cldr.unicode.org), Unicode-3.0"


async def fetch_data(server: AppClient, path: str) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON-LD of a page."""
    html = (await server.get(path)).text
    text = html.partition('<script type="application/ld+json">')[2].partition("</script>")[0]
    assert "<" not in text
    return orjson.loads(text)


def test_dataset() -> None:
    """The data set has its files, the time of its data, and the credits and licences of the sources of the rows."""
    rows = [make_country("FR", rates_provider="our <mirror>"), make_country("DE", rates_provider=BUNDLED)]
    text = str(describe_dataset(make_snapshot(rows), HEAD))
    assert "<" not in text
    assert orjson.loads(text) == {
        "@context": "https://schema.org",
        "@type": "Dataset",
        "name": "All </script>",
        "description": "Figures",
        "url": "https://a.example/x/",
        "dateModified": REFRESHED_AT.isoformat(timespec="seconds"),
        "license": [
            "https://creativecommons.org/licenses/by/4.0/",
            "https://www.unicode.org/license.txt",
            "https://creativecommons.org/publicdomain/zero/1.0/",
        ],
        "creditText": "GeoNames (https://www.geonames.org), CC BY 4.0; World Bank, World Development Indicators "
        f"(https://data.worldbank.org), CC BY 4.0; fawazahmed0 currency-api, CC0; {CLDR}",
        "isAccessibleForFree": True,
        "variableMeasured": [
            *("code", "name", "capital", "region", "population", "populationYear", "areaKm2", "currencyCode"),
            *("exchangeRate", "gdp", "gdpYear", "estimatedGdp"),
        ],
        "distribution": [
            {"@type": "DataDownload", "encodingFormat": "text/csv", "contentUrl": "https://a.example/x/countries.csv"},
            {
                "@type": "DataDownload",
                "encodingFormat": "application/json",
                "contentUrl": "https://a.example/x/countries.json",
            },
        ],
    }


def test_dataset_without_rows() -> None:
    """Without rows there is no date, and the licence is that of the names."""
    data = orjson.loads(str(describe_dataset(make_snapshot(), HEAD)))
    assert "dateModified" not in data
    assert (data["license"], data["creditText"]) == (["https://www.unicode.org/license.txt"], CLDR)


@pytest.mark.asyncio(loop_scope="module")
async def test_pages(server: AppClient) -> None:
    """The landing page has the files of the server, whatever its filter, and a country's page its country."""
    data = await fetch_data(server, "/?q=usa")
    assert [file["contentUrl"] for file in data["distribution"]] == [
        "http://countries.localhost:8000/countries.csv",
        "http://countries.localhost:8000/countries.json",
    ]
    data = await fetch_data(server, "/countries/CI")
    assert (data["@type"], data["name"], data["identifier"]) == ("Country", "Côte d’Ivoire", "CI")
    assert data["url"] == "http://countries.localhost:8000/countries/CI"
