"""The root fields `search` and `convert` of the schema: data, and errors of their arguments."""

import pytest

from tests.support.schema_client import offline_client
from tests.support.world import WORLD, make_world

CLIENT = offline_client(make_world(), WORLD)
CONVERT = 'query ($amount: Float!, $to: [String!]!) { convert(amount: $amount, from: "usd", to: $to) { amount } }'


async def test_search() -> None:
    """A search returns countries with their fields, as many as requested, and is cached."""
    document = """query ($text: String!, $first: Int!) {
      search(text: $text, first: $first) { score matched country { name neighbours { code } } }
    }"""
    response = await CLIENT.request(document, {"text": "portugl", "first": 1})
    assert response.cacheable
    assert await CLIENT.query(document, text="portugl", first=1) == {
        "search": [
            {"score": 0.7, "matched": "Portugal", "country": {"name": "Portugal", "neighbours": [{"code": "ES"}]}}
        ]
    }
    assert len((await CLIENT.query('{ search(text: "a") { score } }'))["search"]) == 10


async def test_convert() -> None:
    """Amounts are decimal, in the order of the targets, each with its currency and rate, and are cached."""
    document = '{ convert(amount: 0.1, from: "usd", to: ["PAB", "BBD"]) { amount rate currency { symbol digits } } }'
    assert (await CLIENT.request(document)).cacheable
    rate = CLIENT.catalog.snapshot.graph.rates["BBD"]
    assert await CLIENT.query(document) == {
        "convert": [
            {"amount": 0.1, "rate": 1.0, "currency": {"symbol": "PAB", "digits": 2}},
            {"amount": rate / 10, "rate": rate, "currency": {"symbol": "$", "digits": 2}},
        ]
    }
    assert await CLIENT.query(CONVERT, amount=3, to="USD") == {"convert": [{"amount": 3.0}]}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ('{ search(text: "a", first: 101) { score } }', "first must be from 0 to 100, not 101."),
        (f'{{ search(text: "{"a" * 101}") {{ score }} }}', "text has 101 characters, at most 100."),
        (
            '{ convert(amount: 1e999, from: "USD", to: "EUR") { amount } }',
            "amount must be a finite number of 0 or more, not inf.",
        ),
        (
            f'{{ convert(amount: {"9" * 400}, from: "USD", to: "EUR") {{ amount }} }}',
            "amount must be a finite number of 0 or more, not inf.",
        ),
        (
            '{ convert(amount: 1, from: "USD", to: ["EUR", "QQQ"]) { amount } }',
            "to must name currencies in use by ISO 4217 code, not 'QQQ'.",
        ),
    ],
)
async def test_errors(document: str, message: str) -> None:
    """A bad argument is BAD_USER_INPUT that names it, and the response has no data."""
    assert await CLIENT.query_error(document) == ("BAD_USER_INPUT", message)


@pytest.mark.parametrize("amount", [10**400, "1", None, float("nan"), float("inf")])
async def test_amounts_of_variables(amount: object) -> None:
    """A variable that is no finite number is BAD_USER_INPUT too."""
    code, message = await CLIENT.query_error(CONVERT, amount=amount, to=["EUR"])
    assert (code, "$amount" in message) == ("BAD_USER_INPUT", True)
