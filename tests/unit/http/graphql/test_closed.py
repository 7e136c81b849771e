"""A server in production without INTROSPECTION: no playground, no schema, and a token for mutations."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.app import HANGING_RESPONSE, AppClient, make_settings, parse_errors, running_client
from tests.support.fake_providers.server import Upstream
from tests.support.image_urls import without_digest

pytestmark = pytest.mark.asyncio(loop_scope="module")
TOKEN = "s3cret-Token-of-24-letters"
DELETION = 'mutation { deleteCountry(code: "ZW") { code } }'
MISSING = "This needs the administrator's token: send it as `Authorization: Bearer <ADMIN_TOKEN>`."
WRONG = "The token is wrong: send the administrator's, as `Authorization: Bearer <ADMIN_TOKEN>`."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def production_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AppClient]:
    """Run a server in production without INTROSPECTION, whose sources never respond."""
    path = tmp_path_factory.mktemp("production_server") / "countries.db"
    with Upstream() as upstream:
        upstream.set_responses("countries", HANGING_RESPONSE)
        settings = make_settings(
            path,
            upstream,
            environment="production",
            admin_token=TOKEN,
            public_url="https://countries.example/api/",
            introspection=False,
        )
        async with running_client(settings) as server:
            yield server


async def test_no_playground(production_server: AppClient) -> None:
    """A browser that requests the playground gets an error that says what to send instead."""
    response = await production_server.get("/graphql", Accept="text/html")
    assert response.status_code == 406
    assert parse_errors(response) == [("BAD_USER_INPUT", "Accept application/json.")]
    response = await production_server.get("/graphql", Accept="text/html, */*;q=0.8")
    assert response.status_code == 400
    assert parse_errors(response) == [("BAD_USER_INPUT", "query must be the text of a GraphQL document.")]


async def test_no_introspection(production_server: AppClient) -> None:
    """The schema is available neither by introspection nor as text."""
    response = await production_server.post({"query": "{ __schema { __typename } }"})
    assert [code for code, _ in parse_errors(response)] == ["GRAPHQL_VALIDATION_FAILED"]
    assert await production_server.query("{ __typename }") == {"__typename": "Query"}
    response = await production_server.get("/schema.graphql")
    assert (response.status_code, response.text) == (404, "The schema is not public here.\n")


async def test_landing_page_links_what_there_is(production_server: AppClient) -> None:
    """The landing page links to neither the playground nor the schema."""
    page = (await production_server.get("/")).text
    assert ('href="readyz"' in page, 'href="graphql"' in page) == (True, False)
    assert 'href="schema.graphql"' not in page


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer s3cret-Tok\u00e9n"])
async def test_without_the_token(production_server: AppClient, authorization: str) -> None:
    """Without the token a mutation is rejected, a wrong one has another message than none, and nothing is deleted."""
    headers = {b"Content-Type": b"application/json", b"Authorization": authorization.encode("latin-1")}
    response = await production_server.client.post("/graphql", json={"query": DELETION}, headers=headers)
    error = {
        "message": WRONG if authorization else MISSING,
        "locations": [{"line": 1, "column": 12}],
        "path": ["deleteCountry"],
        "extensions": {"code": "UNAUTHENTICATED"},
    }
    assert (response.status_code, response.json()) == (200, {"data": None, "errors": [error]})
    assert await production_server.version() == "1-250"


async def test_with_the_token(production_server: AppClient) -> None:
    """With the token a mutation is executed: its error is that the country does not exist."""
    mutation = {"query": 'mutation { deleteCountry(code: "ZZ") { code } }'}
    response = await production_server.post(mutation, Authorization=f"Bearer {TOKEN}")
    [error] = response.json()["errors"]
    assert error["extensions"] == {"code": "COUNTRY_NOT_FOUND"}


async def test_public_url(production_server: AppClient) -> None:
    """Absolute URLs start with PUBLIC_URL, whatever the request's Host."""
    data = await production_server.query("{ status { imageUrl } }", Host="elsewhere.example")
    assert without_digest(data["status"]["imageUrl"]) == "https://countries.example/api/images/summary-1-250.png"
