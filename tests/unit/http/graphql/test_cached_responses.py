"""Cached responses: a request that comes for the third time executes nothing, and only data is cached."""

import json
from pathlib import Path

import graphql
import httpx
import pytest

from graphql_api.schema import operations
from tests.support.app import AppClient, make_settings, running_client
from tests.support.fake_providers.server import Upstream
from tests.support.processes import run_command
from tests.support.processes import running_server as serving_process

pytestmark = pytest.mark.asyncio(loop_scope="module")
LIST_QUERY = "{countries{nodes{code name population}}}"


async def get(server: AppClient, query: str, **headers: str) -> httpx.Response:
    """GET a query, without compression unless the headers ask for it."""
    request_headers = {"Accept_Encoding": "identity", **headers}
    return await server.get(f"/graphql?{httpx.QueryParams({'query': query})}", **request_headers)


async def test_repeated(server: AppClient) -> None:
    """The same request gets the same bytes, by POST and by GET, compressed or not."""
    plain = [await server.post({"query": LIST_QUERY}, Accept_Encoding="identity") for _ in range(3)]
    assert plain[0].content == plain[1].content == plain[2].content
    assert len(plain[0].json()["data"]["countries"]["nodes"]) == 250
    for coding in ("gzip", "br", "gzip, deflate, br"):
        for _ in range(3):
            response = await server.post({"query": LIST_QUERY}, Accept_Encoding=coding)
            assert response.content == plain[0].content
            assert response.headers["Content-Encoding"] == coding.rpartition(" ")[2]
            get_response = await get(server, LIST_QUERY, Accept_Encoding=coding)
            assert get_response.content == plain[0].content


async def test_not_executed_again(server: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third of equal requests does not read the data, nor does one whose ETag the client holds."""
    query = "{countries(first:7){nodes{code}}}"
    first, _ = [await get(server, query) for _ in range(2)]
    post_response, _ = [await server.post({"query": query}) for _ in range(2)]
    monkeypatch.delattr(operations, "paginate")
    assert (await get(server, query)).content == first.content
    assert (await server.post({"query": query})).content == post_response.content
    not_modified = await get(server, query, If_None_Match=first.headers["ETag"])
    assert (not_modified.status_code, not_modified.content) == (304, b"")
    assert not_modified.headers["ETag"] == first.headers["ETag"]
    assert not_modified.headers["Vary"] == "Accept, Accept-Encoding, Origin"
    assert not_modified.headers["Cache-Control"] == "public, max-age=0, must-revalidate"
    assert "X-Request-Id" in not_modified.headers
    assert "errors" in (await get(server, query + " ")).json()


async def test_tags(server: AppClient) -> None:
    """An ETag matches in a list, weak, or as `*`; any other gets the whole response."""
    first = await get(server, LIST_QUERY, If_None_Match="*")
    assert first.status_code == 304
    tag = first.headers["ETag"]
    for matching_tag in (f'"x", {tag}', f"W/{tag}", "*"):
        assert (await get(server, LIST_QUERY, If_None_Match=matching_tag)).status_code == 304
    for other_tag in ('"x"', tag[1:-1]):
        assert (await get(server, LIST_QUERY, If_None_Match=other_tag)).status_code == 200
    other = await get(server, LIST_QUERY, If_None_Match=tag, Accept_Encoding="br")
    assert (other.status_code, other.headers["ETag"] == tag) == (200, False)


async def test_one_object(server: AppClient) -> None:
    """An object requested by its id depends on the data alone, so its response has an ETag."""
    response = await get(server, '{node(id:"Q291bnRyeTpGUg=="){id __typename}}')
    assert response.json() == {"data": {"node": {"id": "Q291bnRyeTpGUg==", "__typename": "Country"}}}
    assert "ETag" in response.headers


@pytest.mark.parametrize(
    "query",
    [
        "{status{version}}",
        "{refreshes{id}}",
        "{countries{totalCount} status{version}}",
        "{...a} fragment a on Query{status{stale}}",
        "{__schema{queryType{name}} status{version}}",
        "{country{code}}",
        "{nothing}",
        "{",
        "",
    ],
)
async def test_not_of_the_data(server: AppClient, query: str) -> None:
    """A response that does not depend on the data alone, or has errors, is not cacheable."""
    for _ in range(2):
        response = await get(server, query)
        assert response.headers["Cache-Control"] == "no-store"
        assert "ETag" not in response.headers


@pytest.mark.parametrize("encoding", ["gzip", "br"])
async def test_introspection(server: AppClient, monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    """The schema, which tools request first, is compressed, and comes from the cache the third time."""
    body = {"query": f"# {encoding}\n{graphql.get_introspection_query()}"}
    first, second = [await server.post(body, **{"Accept-Encoding": encoding}) for _ in range(2)]
    assert (first.status_code, first.headers["Content-Encoding"]) == (200, encoding)
    assert int(first.headers["Content-Length"]) * 4 < len(first.content)
    assert graphql.build_client_schema(first.json()["data"]).query_type is not None
    monkeypatch.setattr(graphql, "execute", None)
    third = await server.post(body, **{"Accept-Encoding": encoding})
    assert first.content == second.content == third.content


async def test_media_types(server: AppClient) -> None:
    """Each media type has its own response and ETag."""
    json_response = await get(server, LIST_QUERY)
    graphql_response = await get(server, LIST_QUERY, Accept="application/graphql-response+json")
    assert graphql_response.headers["Content-Type"] == "application/graphql-response+json; charset=utf-8"
    assert json_response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert json_response.headers["ETag"] != graphql_response.headers["ETag"]


async def test_refusals_stay(server: AppClient) -> None:
    """A body with a cached response is rejected as before where its headers are not accepted."""
    body = json.dumps({"query": LIST_QUERY})
    assert (await server.post(body)).status_code == 200
    assert (await server.post(body, Content_Type="text/plain")).status_code == 415
    assert (await server.post(body, Accept="image/png")).status_code == 406
    assert (await server.post(body, Content_Encoding="gzip")).status_code == 415
    mutation = await get(server, "mutation{refreshCountries{id}}")
    assert (mutation.status_code, mutation.headers["Allow"]) == (405, "POST")


async def test_change_of_the_data(tmp_path: Path, upstream: Upstream) -> None:
    """After a change of the data the same request is executed again and has another ETag."""
    async with running_client(make_settings(tmp_path / "countries.db", upstream, **bundled_settings())) as server:
        before = await get(server, "{countries{totalCount}}")
        await server.query('mutation { deleteCountry(code: "FR") { code } }')
        tag = before.headers["ETag"]
        after = await get(server, "{countries{totalCount}}", If_None_Match=tag)
        assert after.json() == {"data": {"countries": {"totalCount": 249}}}
        assert after.headers["ETag"] != tag


def bundled_settings() -> dict[str, object]:
    """Return settings that fetch nothing."""
    return {"countries_sources": (("bundled", None),), "rates_sources": (("bundled", None),)}


@pytest.mark.slow
async def test_replicas(tmp_path: Path, upstream: Upstream) -> None:
    """Two servers on one database return the same ETag and the same bytes."""
    settings = {**upstream.environment, "DATABASE_URL": f"sqlite:///{tmp_path / 'shared.db'}"}
    # With live data stored neither server refreshes when it starts.
    assert run_command(tmp_path, "refresh", **settings).exit_code == 0
    query = f"/graphql?{httpx.QueryParams({'query': LIST_QUERY})}"
    with serving_process(tmp_path, **settings) as first, serving_process(tmp_path, **settings) as second:
        for coding in ("identity", "gzip", "br"):
            request_headers = {"Accept-Encoding": coding}
            responses = [replica.get(query, **request_headers) for replica in (first, second)]
            assert [response.status_code for response in responses] == [200, 200]
            assert responses[0].content == responses[1].content
            tag = responses[0].headers["ETag"]
            assert responses[1].headers["ETag"] == tag
            not_modified = second.get(query, **request_headers, **{"If-None-Match": tag})
            assert (not_modified.status_code, not_modified.content) == (304, b"")
