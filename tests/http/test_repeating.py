"""What was asked before is answered without executing anything, and only what is of the data."""

import json
from pathlib import Path

import httpx
import pytest

from graphql_api.schema import operations
from tests.cli.running import run
from tests.cli.running import serving as serving_process
from tests.serving import Server, given, serving
from tests.upstream.server import Upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")
LIST = "{countries{nodes{code name population}}}"


async def get(server: Server, query: str, **headers: str) -> httpx.Response:
    """GET a query, without compression unless the headers ask for it."""
    sent = {"Accept_Encoding": "identity", **headers}
    return await server.get(f"/graphql?{httpx.QueryParams({'query': query})}", **sent)


async def test_repeated(server: Server) -> None:
    """The same request gets the same bytes, by POST and by GET, also compressed."""
    plain = [await server.post({"query": LIST}, Accept_Encoding="identity") for _ in range(2)]
    assert plain[0].content == plain[1].content
    assert len(plain[0].json()["data"]["countries"]["nodes"]) == 250
    for coding in ("gzip", "br", "gzip, deflate, br"):
        for _ in range(2):
            response = await server.post({"query": LIST}, Accept_Encoding=coding)
            assert response.content == plain[0].content
            assert response.headers["Content-Encoding"] == coding.rpartition(" ")[2]
            got = await get(server, LIST, Accept_Encoding=coding)
            assert got.content == plain[0].content


async def test_not_executed_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is repeated does not read the data, nor does one whose tag is known."""
    query = "{countries(first:7){nodes{code}}}"
    first = await get(server, query)
    posted = await server.post({"query": query})
    monkeypatch.delattr(operations, "paginate")
    assert (await get(server, query)).content == first.content
    assert (await server.post({"query": query})).content == posted.content
    known = await get(server, query, If_None_Match=first.headers["ETag"])
    assert (known.status_code, known.content) == (304, b"")
    assert known.headers["ETag"] == first.headers["ETag"]
    assert known.headers["Vary"] == "Accept, Accept-Encoding"
    assert known.headers["Cache-Control"] == "public, max-age=0, must-revalidate"
    assert "X-Request-Id" in known.headers
    assert "errors" in (await get(server, query + " ")).json()


async def test_tags(server: Server) -> None:
    """One of several tags, or a weak one, is as good; another one is answered in full."""
    tag = (await get(server, LIST)).headers["ETag"]
    for known in (f'"x", {tag}', f"W/{tag}"):
        assert (await get(server, LIST, If_None_Match=known)).status_code == 304
    for unknown in ('"x"', "*", tag[1:-1]):
        assert (await get(server, LIST, If_None_Match=unknown)).status_code == 200
    other = await get(server, LIST, If_None_Match=tag, Accept_Encoding="br")
    assert (other.status_code, other.headers["ETag"] == tag) == (200, False)


async def test_one_object(server: Server) -> None:
    """An object that is asked for by its id is of the data as well."""
    response = await get(server, '{node(id:"Q291bnRyeTpGUg=="){id __typename}}')
    assert response.json() == {
        "data": {"node": {"id": "Q291bnRyeTpGUg==", "__typename": "Country"}}
    }
    assert "ETag" in response.headers


@pytest.mark.parametrize(
    "query",
    [
        "{status{version}}",
        "{refreshes{id}}",
        "{countries{totalCount} status{version}}",
        "{...a} fragment a on Query{status{stale}}",
        "{__schema{queryType{name}}}",
        "{country{code}}",
        "{nothing}",
        "{",
        "",
    ],
)
async def test_not_of_the_data(server: Server, query: str) -> None:
    """Whatever else than the data is asked for, or in error, is for nobody to keep."""
    for _ in range(2):
        response = await get(server, query)
        assert response.headers["Cache-Control"] == "no-store"
        assert "ETag" not in response.headers


async def test_media_types(server: Server) -> None:
    """Each media type has its own answer and tag."""
    one = await get(server, LIST)
    other = await get(server, LIST, Accept="application/graphql-response+json")
    assert other.headers["Content-Type"] == "application/graphql-response+json; charset=utf-8"
    assert one.headers["Content-Type"] == "application/json; charset=utf-8"
    assert one.headers["ETag"] != other.headers["ETag"]


async def test_refusals_stay(server: Server) -> None:
    """A body that was answered is refused where it would have been refused before."""
    body = json.dumps({"query": LIST})
    assert (await server.post(body)).status_code == 200
    assert (await server.post(body, Content_Type="text/plain")).status_code == 415
    assert (await server.post(body, Accept="image/png")).status_code == 406
    assert (await server.post(body, Content_Encoding="gzip")).status_code == 415
    mutation = await get(server, "mutation{refreshCountries{id}}")
    assert (mutation.status_code, mutation.headers["Allow"]) == (405, "POST")


async def test_change_of_the_data(tmp_path: Path, upstream: Upstream) -> None:
    """After a change the same request is answered anew, with another tag."""
    async with serving(given(tmp_path / "countries.db", upstream, **bundled())) as server:
        before = await get(server, "{countries{totalCount}}")
        await server.ask('mutation { deleteCountry(code: "FR") { code } }')
        tag = before.headers["ETag"]
        after = await get(server, "{countries{totalCount}}", If_None_Match=tag)
        assert after.json() == {"data": {"countries": {"totalCount": 249}}}
        assert after.headers["ETag"] != tag


def bundled() -> dict[str, object]:
    """Return settings with which nobody is asked."""
    return {"countries_sources": (("bundled", None),), "rates_sources": (("bundled", None),)}


async def test_replicas(tmp_path: Path, upstream: Upstream) -> None:
    """Two servers on one database give a query the same tag and the same bytes."""
    settings = {
        **upstream.environment,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'shared.db'}",
    }
    # With live data stored neither server refreshes when it starts.
    assert run(tmp_path, "refresh", **settings).code == 0
    query = f"/graphql?{httpx.QueryParams({'query': LIST})}"
    with serving_process(tmp_path, **settings) as one, serving_process(tmp_path, **settings) as two:
        for coding in ("identity", "gzip", "br"):
            sent = {"Accept-Encoding": coding}
            answers = [each.get(query, **sent) for each in (one, two)]
            assert [each.status_code for each in answers] == [200, 200]
            assert answers[0].content == answers[1].content
            tag = answers[0].headers["ETag"]
            assert answers[1].headers["ETag"] == tag
            known = two.get(query, **sent, **{"If-None-Match": tag})
            assert (known.status_code, known.content) == (304, b"")
