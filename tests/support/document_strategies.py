"""Strategies of documents over the whole schema: aliases, fragments, @skip, @include."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from graphql import GraphQLInterfaceType, GraphQLObjectType, get_named_type
from hypothesis import strategies as st

from tests.support.schema_client import SCHEMA

VARIABLES = "query ($yes: Boolean! = true, $no: Boolean = false, $maybe: Boolean = true, $first: Int)"
ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "country": ('code: "FR"', 'code: "none"', 'name: "turkey"', "", 'code: "FR", name: "France"'),
    "countries": (
        "",
        "first: 3",
        "first: $first",
        "last: 2",
        "first: -1",
        'after: "no cursor"',
        "filter: {}",
        'filter: {capital: {isNull: true}, not: {name: {in: ["Chad"]}}}',
        'filter: {or: [{name: {contains: "an"}}, {population: {gte: 1000}}], and: null}',
        "sort: [{field: POPULATION, direction: DESC}, {field: NAME}], offset: 1",
        'filter: {lastRefreshedAt: {lt: "2030-01-01T00:00:00Z"}}, sort: {field: AREA_KM2}',
    ),
    "nodes": (
        'ids: ["Q291bnRyeTpGUg==", "Q3VycmVuY3k6RVVS", "TGFuZ3VhZ2U6ZGU=", "Q291bnRyeTpRUQ=="]',
        'ids: ["no id"]',
    ),
    "currency": ('code: "eur"', 'code: "QQQ"'),
    "language": ('code: "DE"', 'code: "qq"'),
    "search": (
        'text: "land"',
        'text: "frnce", first: 2',
        'text: "", first: $first',
        'text: "zzz"',
        'text: "a", first: 101',
    ),
    "convert": (
        'amount: 0.1, from: "usd", to: ["EUR", "ZWG", "EUR"]',
        'amount: 1e308, from: "TRY", to: "USD"',
        'amount: 3, from: "EUR", to: []',
        'amount: -1, from: "EUR", to: ["EUR"]',
        'amount: 1, from: "EUR", to: "QQQ"',
    ),
    "node": ('id: "Q291bnRyeTpGUg=="', 'id: "Q291bnRyeTpRUQ=="', 'id: "no id"'),
    "CountryConnection.groups": (
        "by: REGION",
        "by: [LANGUAGE, CONTINENT]",
        "by: [CURRENCY_CODE], sort: [{field: GDP}, {field: KEY, direction: ASC}], first: $first",
        "by: [SUBREGION], sort: {field: POPULATION}, first: 1",
        "by: []",
        "by: [REGION, REGION]",
        "by: REGION, first: -1",
    ),
    "refreshes": ("", "first: 1", "first: -1"),
    "failedRefreshes": ("", "first: 1", "first: -1"),
}
CompositeType = GraphQLInterfaceType | GraphQLObjectType
_DIRECTIVES = ("", "", "", "", " @skip(if: $no)", " @include(if: $yes)", " @skip(if: $yes)", " @include(if: $maybe)")


@dataclass
class _DocumentBuilder:
    """One random document, with the fragments defined so far."""

    random: Random
    fragments: list[str] = field(default_factory=list)

    def selections(self, parent_type: CompositeType, depth: int) -> str:
        """Return a random selection set of a type."""
        return "{ " + " ".join(self.selection_parts(parent_type, depth)) + " }"

    def selection_parts(self, parent_type: CompositeType, depth: int) -> list[str]:
        """Return random fields and fragments of a type."""
        names = [name for name, field_def in parent_type.fields.items() if depth or not _has_fields(field_def.type)]
        chosen = self.random.choices(("__typename", *names), k=self.random.randint(0, 5))
        parts = [self.field_selection(parent_type, name, depth) for name in chosen]
        if depth and self.random.random() < 0.5:
            parts.append(self.fragment(parent_type, depth - 1))
        return parts or ["__typename"]

    def field_selection(self, parent_type: CompositeType, name: str, depth: int) -> str:
        """Return a random field."""
        directive = self.random.choice(_DIRECTIVES)
        if name == "__typename":
            return f"{self.random.choice(('', 'type: '))}__typename{directive}"
        arguments = ARGUMENTS.get(name if parent_type.name == "Query" else f"{parent_type.name}.{name}", ("",))
        index = self.random.randrange(len(arguments))
        # Fields of one response name must have the same arguments and type to merge.
        alias = f"{name}{index}: " if index or self.random.random() < 0.5 else ""
        argument_list = f"({arguments[index]})" if arguments[index] else ""
        field_type = get_named_type(parent_type.fields[name].type)
        subselection = self.selections(field_type, depth - 1) if isinstance(field_type, CompositeType) else ""
        return f"{alias}{name}{argument_list}{directive} {subselection}"

    def fragment(self, parent_type: CompositeType, depth: int) -> str:
        """Return a random inline fragment, or define one and spread it."""
        directive = self.random.choice(_DIRECTIVES)
        if isinstance(parent_type, GraphQLInterfaceType):
            types: list[CompositeType] = [parent_type, *SCHEMA.executable.get_possible_types(parent_type)]
            parent_type = self.random.choice(types)
        selection = self.selections(parent_type, depth)
        if self.random.random() < 0.5:
            return f"... on {parent_type.name}{directive} {selection}"
        name = f"f{len(self.fragments)}"
        self.fragments.append(f"fragment {name} on {parent_type.name} {selection}")
        return f"...{name}{directive}"


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Draw a valid document with the variables $yes, $no, $maybe and $first. Only $maybe may be null."""
    # Hypothesis draws a seed alone: to draw every part of a document took longer than to execute it.
    builder = _DocumentBuilder(draw(st.randoms(use_true_random=True)))
    query = SCHEMA.executable.query_type
    assert query is not None
    # A condition below an absent object decides nothing, whatever its value.
    switches = """on: __typename @skip(if: $yes) off: __typename @skip(if: $no)
        absent: country(code: "none") { code @skip(if: $maybe) }"""
    parts = f"{switches} used: countries(first: $first) {{ __typename }}"
    selection = " ".join(builder.selection_parts(query, 4))
    return "\n".join([f"{VARIABLES} {{ {parts} {selection} }}", *builder.fragments])


def _has_fields(type_: object) -> bool:
    return isinstance(get_named_type(type_), CompositeType)  # type: ignore[call-overload] # any type
