"""Conversion: decimal amounts at the rates of a snapshot, and errors that name the argument."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphql_api.domain.conversion import convert
from graphql_api.domain.graph import Graph
from graphql_api.errors import InvalidInput
from tests.support.factories import make_country
from tests.support.world import WORLD, make_world


def make_graph(**rates: float) -> Graph:
    """Return the graph of rows with these rates."""
    rows = [
        make_country(f"Z{index}", currency_code=code, exchange_rate=rate)
        for index, (code, rate) in enumerate(rates.items())
    ]
    return Graph(rows, WORLD)


GRAPH = make_graph(EUR=0.9, JPY=150.3, TRY=3.0, KWD=0.3, XXX=1e300)
WORLD_GRAPH = Graph(make_world(), WORLD)


@pytest.mark.parametrize(
    ("amount", "source", "target", "expected"),
    [
        (0.1, "USD", "TRY", (0.3, 3.0)),  # 0.30000000000000004 in binary arithmetic
        (1.1, "USD", "TRY", (3.3, 3.0)),
        (100, "EUR", "JPY", (16700.0, 167.0)),
        (1, "JPY", "EUR", (0.00598802395209581, 0.00598802395209581)),
        (3.0, "kwd", "eur", (9.0, 3.0)),
        (0.1234567, "EUR", "EUR", (0.1234567, 1.0)),
        (7, "USD", "usd", (7.0, 1.0)),
        (0, "USD", "EUR", (0.0, 0.9)),
        (1e22, "USD", "TRY", (3e22, 3.0)),
        (5e-324, "USD", "EUR", (5e-324, 0.9)),
    ],
)
def test_amounts(amount: float, source: str, target: str, expected: tuple[float, float]) -> None:
    """An amount and a rate have 15 significant digits, computed in decimals, whatever the case of the codes."""
    ((converted, currency, rate),) = convert(GRAPH, amount, source, [target])
    assert ((converted, rate), currency.code) == (expected, target.upper())
    assert rate == GRAPH.get_rate(currency, source)


def test_several_targets() -> None:
    """The result has the order of the targets, repeated ones too; no targets give none."""
    converted = convert(GRAPH, 2, "USD", ["TRY", "EUR", "try"])
    assert [(conversion.currency.code, conversion.amount) for conversion in converted] == [
        ("TRY", 6.0),
        ("EUR", 1.8),
        ("TRY", 6.0),
    ]
    assert convert(GRAPH, 2, "USD", []) == []
    assert str(convert(GRAPH, -0.0, "USD", ["EUR"])[0].amount) == "0.0"


@pytest.mark.parametrize(
    ("amount", "source", "targets", "message"),
    [
        (-0.01, "USD", ["EUR"], "amount must be a finite number of 0 or more, not -0.01."),
        (float("inf"), "USD", ["EUR"], "amount must be a finite number of 0 or more, not inf."),
        (float("nan"), "USD", ["EUR"], "amount must be a finite number of 0 or more, not nan."),
        (1e300, "USD", ["EUR", "XXX"], "amount is too large to convert to XXX: 1e+300."),
        (1, "QQQ", ["EUR"], "from must name currencies in use by ISO 4217 code, not 'QQQ'."),
        (1, "", [], "from must name currencies in use by ISO 4217 code, not ''."),
        (1, "USD", ["EUR", "e" * 99], f"to must name currencies in use by ISO 4217 code, not '{'e' * 20}'."),
        (1, "USD", ["ß"], "to must name currencies in use by ISO 4217 code, not 'ß'."),
        (1, "CHF", ["EUR"], "from: CHF (Swiss Franc) has no rate now."),
        (1, "USD", ["EUR", "chf"], "to: CHF (Swiss Franc) has no rate now."),
        (1, "USD", ["EUR"] * 201, "to has 201 items, at most 200."),
    ],
)
def test_errors(amount: float, source: str, targets: list[str], message: str) -> None:
    """An error names the argument and what is wrong with it."""
    with pytest.raises(InvalidInput) as raised:
        convert(GRAPH, amount, source, targets)
    assert str(raised.value) == message


@settings(max_examples=200, deadline=None)
@given(st.floats(0.01, 1e12), st.sampled_from(sorted(WORLD_GRAPH.rates)), st.sampled_from(sorted(WORLD_GRAPH.rates)))
def test_round_trip(amount: float, source: str, target: str) -> None:
    """Back in the first currency an amount is the same to 14 digits, and the rate is the inverse."""
    (there,) = convert(WORLD_GRAPH, amount, source, [target])
    (back,) = convert(WORLD_GRAPH, there.amount, target, [source])
    assert back.amount == pytest.approx(amount, rel=1e-14)
    assert back.rate * there.rate == pytest.approx(1, rel=1e-14)
    assert there.amount == pytest.approx(amount * there.rate, rel=1e-14)
