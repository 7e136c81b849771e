"""Queries and variables made to be expensive: each within the body limit, and with the rejection that it gets."""

import base64
import json
from collections.abc import Callable, Mapping
from itertools import islice, permutations
from typing import Any, NamedTuple

from graphql_api.domain.country import CountryField

EXPANDING = "\ufdfa"
"""Three bytes that fold to eighteen characters."""
MARKS = "\u0301\u0327"
"""Marks that normalization exchanges, in time that is quadratic in their number."""
FIELDS = "code name capital region subregion population areaKm2 flagUrl"
GROUP_FIELDS = ("REGION", "SUBREGION", "CONTINENT", "CURRENCY_CODE", "LANGUAGE")
ALL_KEYS = [{"field": field.name} for field in CountryField if field.info.sortable]


class ExpensiveQuery(NamedTuple):
    """A query with its variables."""

    document: str
    variables: Mapping[str, Any] = {}
    rejection: str | None = None
    """The limit that its message names; None if it is executed."""


def _aliased(count: int, selection: Callable[[int], str]) -> str:
    return " ".join(f"a{index}: {selection(index)}" for index in range(count))


def _countries(count: int, arguments: str, selection: str = "{ totalCount }") -> str:
    return _aliased(count, lambda _: f"countries({arguments}) {selection}")


_IN = "query ($v: [String!]) {{ {} }}"
_FILTER = "query ($v: CountryFilter) {{ {} }}"

EXPENSIVE_QUERIES: Mapping[str, ExpensiveQuery] = {
    # Rows times cursors times sort keys.
    "cursors of a repeated key": ExpensiveQuery(
        "{ countries(sort: ["
        + "{field: LAST_REFRESHED_AT} " * 146
        + "]) { edges { "
        + " ".join(f"a{index}: cursor" for index in range(50))
        + " } } }",
        rejection="cost, at most 50000",
    ),
    "cursors of all keys": ExpensiveQuery(
        "query ($s: [CountrySort!]) { countries(sort: $s) { edges { "
        + " ".join(f"a{index}: cursor" for index in range(7))
        + " } } }",
        {"s": ALL_KEYS},
    ),
    "cursors of more keys": ExpensiveQuery(
        "query ($s: [CountrySort!]) { countries(sort: $s) { edges { "
        + " ".join(f"a{index}: cursor" for index in range(40))
        + " } } }",
        {"s": ALL_KEYS},
        rejection="cost, at most 50000",
    ),
    # Folding.
    "an expanding name, 15 times": ExpensiveQuery(
        "query ($t: String) { " + _aliased(15, lambda _: "country(name: $t) { id }") + " }",
        {"t": EXPANDING * 33_000},
        rejection="cost, at most 50000",
    ),
    "an expanding name, 13 times": ExpensiveQuery(
        "query ($t: String) { " + _aliased(13, lambda _: "country(name: $t) { id }") + " }", {"t": EXPANDING * 33_000}
    ),
    "expanding names in 47 lists": ExpensiveQuery(
        _IN.format(_countries(47, "first: 0, filter: {name: {in: $v}}")),
        {"v": [f"{EXPANDING * 4}{index}" for index in range(300)]},
        rejection="cost, at most 50000",
    ),
    "expanding names in 9 lists": ExpensiveQuery(
        _IN.format(_countries(9, "first: 0, filter: {name: {in: $v}}")),
        {"v": [f"{EXPANDING * 2}{index}" for index in range(500)]},
    ),
    "marks": ExpensiveQuery("query ($t: String) { country(name: $t) { id } }", {"t": MARKS * 16_000}),
    "marks after a letter": ExpensiveQuery(
        "query ($t: String) { countries(filter: {name: {contains: $t}}) { totalCount } }", {"t": "e" + MARKS * 16_000}
    ),
    "marks in a list": ExpensiveQuery(
        _IN.format(_countries(1, "filter: {name: {in: $v}}")), {"v": [MARKS * 160 + str(index) for index in range(150)]}
    ),
    "distinct characters": ExpensiveQuery(
        _IN.format(_countries(1, "filter: {name: {in: $v}}")),
        {"v": ["".join(chr(0x4E00 + (60 * index + k) % 20_000) for k in range(60)) for index in range(500)]},
    ),
    # Searches.
    "similar names, 48 times": ExpensiveQuery(
        "query ($t: String!) { " + _aliased(48, lambda _: "search(text: $t) { score }") + " }", {"t": "untied stats"}
    ),
    "similar names, 50 times": ExpensiveQuery(
        "query ($t: String!) { " + _aliased(50, lambda _: "search(text: $t, first: 0) { score }") + " }",
        {"t": "untied stats"},
        rejection="cost, at most 50000",
    ),
    "expanding text": ExpensiveQuery("query ($t: String!) { search(text: $t) { score } }", {"t": EXPANDING * 100}),
    "unknown names of countries": ExpensiveQuery(
        "{ " + _aliased(50, lambda index: f'country(name: "untied stats {index}") {{ id }}') + " }"
    ),
    "conversions": ExpensiveQuery(
        "query ($t: [String!]!) { "
        + _aliased(45, lambda _: 'convert(amount: 1, from: "EUR", to: $t) { amount rate }')
        + " }",
        {"t": ["EUR"] * 200},
    ),
    # Filters.
    "empty filters": ExpensiveQuery(
        _FILTER.format(_countries(1, "filter: $v")),
        {"v": {"or": [{"or": [{}] * 500}] * 45}},
        rejection="cost, at most 50000",
    ),
    "few empty filters": ExpensiveQuery(_FILTER.format(_countries(1, "filter: $v")), {"v": {"or": [{}] * 195}}),
    "substrings": ExpensiveQuery(
        _FILTER.format(_countries(1, "first: 0, filter: $v")), {"v": {"or": [{"name": {"contains": "q"}}] * 98}}
    ),
    "nested negations": ExpensiveQuery(
        _FILTER.format(_countries(1, "first: 0, filter: $v")),
        {"v": {"or": [{"not": {"not": {"not": {"not": {"name": {"contains": "q"}}}}}}] * 32}},
    ),
    "a filter in 50 lists": ExpensiveQuery(
        _FILTER.format(_countries(50, "first: 0, filter: $v")), {"v": {"name": {"contains": "q"}, "not": {}}}
    ),
    "500 codes in 40 lists": ExpensiveQuery(
        _IN.format(_countries(40, "first: 0, filter: {code: {in: $v}}")), {"v": [f"x{index}" for index in range(500)]}
    ),
    # Rows times fields.
    "all countries, 19 times": ExpensiveQuery(
        "{ " + _aliased(19, lambda _: f"countries {{ nodes {{ {FIELDS} }} }}") + " }"
    ),
    "all countries, with variables": ExpensiveQuery(
        "query ($p: Int) { " + _countries(16, "filter: {population: {gte: $p}}", f"{{ nodes {{ {FIELDS} }} }}") + " }",
        {"p": 0},
    ),
    "all countries, and the status": ExpensiveQuery(
        "{ status { version } " + _aliased(3, lambda _: f"countries {{ nodes {{ {FIELDS} }} }}") + " }"
    ),
    "all countries, and an error": ExpensiveQuery(
        "{ bad: country { id } " + _aliased(3, lambda _: f"countries {{ nodes {{ {FIELDS} }} }}") + " }"
    ),
    "all countries, and too much": ExpensiveQuery(
        "{ status { version } " + _aliased(19, lambda _: f"countries {{ nodes {{ {FIELDS} }} }}") + " }",
        rejection="cost, at most 50000",
    ),
    # Groups, whose keys multiply.
    "numbers of all groups": ExpensiveQuery(
        "{ countries(first: 0) { groups(by: LANGUAGE) { aggregate { median { "
        + " ".join(f"a{index}: gdp" for index in range(50))
        + " } } } } }"
    ),
    "groups by keys in many orders": ExpensiveQuery(
        "{ countries(first: 0) { "
        + " ".join(
            f"g{index}: groups(by: [{', '.join(keys)}], first: 0) {{ keys }}"
            for index, keys in enumerate(islice(permutations(GROUP_FIELDS), 7))
        )
        + " } }"
    ),
    "reports": ExpensiveQuery("{ refreshes(first: 24) { skipped { record reason } missing } }"),
    "all reports": ExpensiveQuery(
        "{ refreshes(first: 1000) { skipped { record reason } missing } }", rejection="cost, at most 50000"
    ),
    "introspection": ExpensiveQuery(
        "{ " + _aliased(5, lambda _: "__schema { types { fields { name type { name fields { name } } } } }") + " }"
    ),
    # Bytes.
    "a long alias": ExpensiveQuery(
        f"{{ countries {{ nodes {{ {'a' * 19_000}: code }} }} }}", rejection="bytes, at most 2000000"
    ),
    "errors with long aliases": ExpensiveQuery(
        "{ " + " ".join(f"{'a' * 390}{index}: country {{ id }}" for index in range(45)) + " }"
    ),
    # Lines, in which errors are located.
    "lines": ExpensiveQuery("\n" * 15_000 + "{ countries }", rejection="tokens, at most 4000"),
    "lines and errors": ExpensiveQuery(
        "\n" * 3_900 + "query ($s: Boolean = true) { countries { nodes { rateFrom { provider @skip(if: $s) } } } }",
        {"s": None},
    ),
    "lines and merged errors": ExpensiveQuery(
        "\n" * 3_500 + "{ " + " ".join(f"a{index}: country {{ id }} " * 2 for index in range(24)) + " }"
    ),
    # Validation.
    "repeated fields": ExpensiveQuery(
        "{ countries { nodes { " + "figuresFrom { provider } " * 148 + "} } }", rejection="fields, at most 300"
    ),
    "repeated arguments": ExpensiveQuery("{ " + 'country(code: "FR") { id } ' * 50 + "}"),
    "merged fragments": ExpensiveQuery(
        "{ countries { nodes { "
        + " ".join(f"...f{index}" for index in range(55))
        + " } } } "
        + " ".join(f"fragment f{index} on Country {{ id }}" for index in range(55))
    ),
    "unused variables": ExpensiveQuery(
        "query (" + " ".join(f"$v{index}: Int" for index in range(900)) + ") { __typename }"
    ),
    # Texts that are no numbers, and no cursors.
    "a long integer": ExpensiveQuery(f"{{ countries(first: {'9' * 19_000}) {{ totalCount }} }}"),
    "long floats": ExpensiveQuery(
        "{ countries(filter: {areaKm2: {in: [" + f"{'9' * 300} " * 60 + "]}}) { totalCount } }"
    ),
    "a cursor of many numbers": ExpensiveQuery(
        "query ($c: String) { countries(first: 0, after: $c) { totalCount } }",
        {"c": base64.b64encode(f"[{'1,' * 34_000}1]".encode()).decode()},
    ),
    "a deep cursor": ExpensiveQuery(
        "query ($c: String) { countries(first: 0, after: $c) { totalCount } }",
        {"c": base64.b64encode(b"[" * 70_000).decode()},
    ),
    "invalid variables": ExpensiveQuery(
        "query ($s: [CountrySort!]) { countries(sort: $s) { totalCount } }", {"s": [{"field": "X" * 150}] * 90}
    ),
    "unknown names": ExpensiveQuery(
        "{ countries { nodes { " + " ".join(f"nam{index}" for index in range(180)) + " } } }"
    ),
}


def to_body(query: ExpensiveQuery) -> bytes:
    """Return the body of a request."""
    return json.dumps({"query": query.document, "variables": query.variables}, ensure_ascii=False).encode()
