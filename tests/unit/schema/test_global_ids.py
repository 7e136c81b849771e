"""Global ids: each decodes to its own country, and no other text does."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.errors import InvalidInput
from graphql_api.schema.global_ids import decode_id, encode_id
from tests.support.factories import make_country
from tests.support.schema_client import offline_client

COUNTRIES = [make_country(code) for code in ("AX", "CI", "FR")]
NO_ID = "id must be the id of an object, as a query returned it."
FRANCE = "Q291bnRyeTpGUg=="


def test_ids() -> None:
    """The id of a country is the one in clients' caches, and decodes to its code."""
    assert encode_id("Country", "FR") == FRANCE
    assert decode_id(FRANCE) == ("Country", "FR")


def encode(text: str) -> str:
    """Return a text in base64."""
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "FR",
        "Country:FR",
        FRANCE.rstrip("="),
        f" {FRANCE}",
        f"{FRANCE}\n",
        "Q291bnRyeTpGUh==",  # other bits after the last letter, which decode to the same
        encode("Country:fr"),
        encode("Country:FRA"),
        encode("Country:ＦＲ"),
        encode("Country:ß"),
        encode("Country:FR\n"),
        encode("country:FR"),
        encode("Planet:FR"),
        base64.b64encode(b"Country:\xff\xff").decode(),
        "Côte",
        "\ud800",
    ],
)
def test_no_ids(text: str) -> None:
    """A text that no query returns as an id is rejected."""
    with pytest.raises(InvalidInput) as exc_info:
        decode_id(text)
    assert str(exc_info.value) == NO_ID


@given(st.text() | st.text().map(encode))
def test_one_object_has_one_id(text: str) -> None:
    """A decoded id equals the id of its code, character by character."""
    try:
        type_name, code = decode_id(text)
    except InvalidInput:
        return
    assert encode_id(type_name, code) == text


async def test_node() -> None:
    """`node` returns the object of an id, through the interface and the type."""
    client = offline_client(COUNTRIES)
    data = await client.query("{ countries { nodes { id __typename code } } }")
    query = "query ($id: ID!) { node(id: $id) { id __typename ... on Country { code } } }"
    nodes = [await client.query(query, id=node["id"]) for node in data["countries"]["nodes"]]
    assert [node["node"] for node in nodes] == data["countries"]["nodes"]
    assert len(nodes) == 3


async def test_nobody() -> None:
    """`node` returns null for the id of a deleted country, and an error for other texts."""
    client = offline_client(COUNTRIES)
    query = "query ($id: ID!) { node(id: $id) { id } }"
    assert await client.query(query, id=encode_id("Country", "DE")) == {"node": None}
    assert await client.query_error(query, id="FR") == ("BAD_USER_INPUT", NO_ID)
