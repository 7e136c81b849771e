"""Hostile bodies: too many records or values, deep nesting and long texts, in the format of each provider."""

import json
import threading
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from graphql_api.domain.report import SourceKind
from graphql_api.sources.fetch import FetchContext, fetch_first
from graphql_api.sources.provider import RawCountries
from graphql_api.sources.providers import (
    er_api,
    fawazahmed0,
    frankfurter,
    geonames,
    restcountries,
    restcountries_v3,
    world_bank,
)
from graphql_api.sources.reference import load_reference
from graphql_api.sources.retry import RetryPolicy
from graphql_api.sources.validation import ValidatedCountries, validate_countries, validate_rates
from tests.support.factories import REFRESHED_AT
from tests.support.fake_providers.server import FakeResponse, Upstream
from tests.support.http_client import lazy_http_client
from tests.support.provider_checks import rejection

REFERENCE = load_reference()
NESTED = "[" * 900 + "]" * 900
"""JSON that is nested almost too deep for the parser."""
LONG_TEXT = "x" * 4_900_000


def rows(count: int) -> str:
    """Return JSON objects, separated by commas."""
    return ",".join(["{}"] * count)


def pairs(count: int, *, prefix: str = "", value: str = "1") -> str:
    """Return members of a JSON object, separated by commas."""
    return ",".join(f'"{prefix}{number}":{value}' for number in range(count))


def v5_body(objects: str, total: str = "1") -> bytes:
    """Return a body of restcountries."""
    return f'{{"data": {{"objects": [{objects}], "meta": {{"total": {total}}}}}}}'.encode()


def er_api_body(rates: str) -> bytes:
    """Return a body of er-api."""
    return f'{{"result": "success", "base_code": "USD", "rates": {{{rates}}}}}'.encode()


FORMATS: Mapping[str, tuple[Callable[[bytes], object], Callable[[int], bytes]]] = {
    "restcountries": (restcountries.parse, lambda count: v5_body(rows(count))),
    "restcountries-v3": (restcountries_v3.parse, lambda count: f"[{rows(count)}]".encode()),
    "geonames": (geonames.parse, lambda count: b"FR\n" * count),
    "er-api": (er_api.parse, lambda count: er_api_body(pairs(count))),
    "frankfurter": (frankfurter.parse, lambda count: f"[{rows(count)}]".encode()),
    "fawazahmed0": (fawazahmed0.parse, lambda count: f'{{"usd": {{{pairs(count)}}}}}'.encode()),
    "world-bank": (world_bank.parse, lambda count: f'[{{"pages": 1, "total": 1}}, [{rows(count)}]]'.encode()),
}
"""The parser of each live provider, and a function from a number of records to a body."""


@pytest.mark.parametrize("name", FORMATS)
def test_too_many_records(name: str) -> None:
    """A list of more than 5000 records is rejected before any record is looked at."""
    parse, build_body = FORMATS[name]
    assert rejection(parse, build_body(5001)) == "sent 5001 records, more than 5000"


@pytest.mark.parametrize("name", FORMATS)
def test_million_records(name: str) -> None:
    """A million records are rejected while memory holds little more than the body."""
    parse, build_body = FORMATS[name]
    body = build_body(1_000_000)
    tracemalloc.start()
    try:
        reason = rejection(parse, body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reason in ("the body has more than 100000 values", "sent 1000000 records, more than 5000")
    assert peak < 1_000_000


def test_too_many_records_on_all_pages() -> None:
    """Pages that together have more than 5000 records are rejected."""
    page = restcountries.parse(v5_body(rows(3000)))
    joined = restcountries.join([page, page])
    assert rejection(lambda _: validate_countries(joined, REFERENCE), b"") == "sent 6000 records, more than 5000"


COUNTRY = '"cca2": "FR", "population": 1'


@pytest.mark.parametrize(
    ("field", "capital", "currency"),
    [
        (f'"name": {NESTED}', None, None),
        (f'"name": {{"common": "{LONG_TEXT}"}}', None, None),
        (f'"capital": ["{LONG_TEXT}"]', None, None),
        (f'"capital": [{NESTED}]', None, None),
        (f'"capital": ["Paris", {",".join(["1"] * 90_000)}]', "Paris", None),
        (f'"area": {"9" * 4_900_000}', None, None),
        (f'"area": {"9" * 4_900_000}.5e-9', None, None),
        (f'"currencies": {{{pairs(45_000, prefix="X")}, "EUR": {{}}}}', None, "EUR"),
        (f'"currencies": {{"{LONG_TEXT}": 1}}', None, None),
        (f'"currencies": {NESTED}', None, None),
    ],
)
def test_hostile_values_of_a_country(field: str, capital: str | None, currency: str | None) -> None:
    """Values that are too long, too deep or too many become null, and the record is kept."""
    body = f"[{{{COUNTRY}, {field}}}]".encode()
    validated = validate_countries(restcountries_v3.parse(body), REFERENCE)
    (figures,) = validated.figures
    assert (figures.capital, figures.area_km2, figures.currency_code) == (capital, None, currency)


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (f'"error-type": {NESTED}', "responded with an error: [[[[[[[...]]]]]]]"),
        (f'"error-type": "{LONG_TEXT}"', f"responded with an error: {'x' * 79}…"),
        (f'"message": "\u202e{LONG_TEXT}"', f"responded with an error: \N{REPLACEMENT CHARACTER}{'x' * 148}…"),
    ],
)
def test_hostile_error(member: str, reason: str) -> None:
    """An error message of any type and length becomes a short reason."""
    assert rejection(er_api.parse, f'{{"result": "error", {member}}}'.encode()) == reason


@pytest.mark.parametrize("date", [NESTED, f'"{LONG_TEXT}"', "9" * 4_900_000])
def test_hostile_date(date: str) -> None:
    """A date that is too long or too deep is ignored."""
    body = f'[{{"base": "USD", "quote": "EUR", "rate": 2, "date": {date}}}]'.encode()
    assert validate_rates(frankfurter.parse(body)).as_of is None


@pytest.mark.parametrize("rate", [NESTED, "9" * 4_900_000, "1e999", "-1", f'"{LONG_TEXT}"'])
def test_hostile_rate(rate: str) -> None:
    """A rate that is no finite number is dropped."""
    raw = er_api.parse(er_api_body(f'"EUR": {rate}, "GBP": 2'))
    assert validate_rates(raw).rates == {"GBP": 2.0, "USD": 1.0}


def test_long_integers() -> None:
    """Integers of thousands of digits, whose exact conversion takes quadratic time, are read as floats."""
    rates = er_api.parse(er_api_body(f'"EUR": {"9" * 21}, "GBP": {"9" * 20}')).rates
    assert rates == {"EUR": 1e21, "GBP": 10**20 - 1}
    assert [type(rate) for rate in rates.values()] == [float, int]


def test_wide_rows() -> None:
    """A row of geonames is not split beyond the columns that are read."""
    body = b"FR" + b"\t" * 4_900_000
    tracemalloc.start()
    try:
        raw = geonames.parse(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [country.code for country in raw.countries] == ["FR"]
    assert peak < 6 * len(body)


def test_named_records() -> None:
    """Of the skipped records the first 100 are named, and all are counted."""
    labels = [{"name": {"common": f"record {number}"}} for number in range(4999)]
    body = json.dumps([*labels, {"cca2": "FR", "population": 1}]).encode()
    validated = validate_countries(restcountries_v3.parse(body), REFERENCE)
    assert [skipped.record for skipped in validated.skipped] == [f"record {number}" for number in range(100)]
    assert validated.unnamed_skipped == 4899


async def test_event_loop_is_not_blocked(upstream: Upstream) -> None:
    """Pages are parsed, and records validated, in other threads than the event loop's."""
    threads: list[int] = []

    def parse(body: bytes) -> RawCountries:
        threads.append(threading.get_ident())
        return restcountries.parse(body)

    def validate(raw: RawCountries) -> ValidatedCountries:
        threads.append(threading.get_ident())
        return validate_countries(raw, REFERENCE)

    body = v5_body('{"codes": {"alpha_2": "FR"}, "population": 1}', total="2")
    upstream.set_responses("countries", FakeResponse(body=body))
    paged = replace(restcountries.PROVIDER, parse=parse, url=upstream.countries_url, api_key_setting=None)
    async with lazy_http_client() as http_client:
        context = FetchContext(
            http_client=http_client,
            now=REFRESHED_AT,
            api_timeout=30,
            retry_policy=RetryPolicy(),
            on_fetch=lambda *_: None,
        )
        fetched = await fetch_first(
            SourceKind.COUNTRIES, [paged], validate, context=context, cached_data=None, failures=[]
        )
    assert (len(fetched.data.figures), len(fetched.data.skipped)) == (1, 1)
    assert len(threads) == 3
    assert threading.get_ident() not in threads
