"""Drawing documents over the whole schema: aliases, fragments, @skip, @include and __typename."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from graphql import GraphQLInterfaceType, GraphQLObjectType, get_named_type
from hypothesis import strategies as st

from tests.schema.asking import SCHEMA

VARIABLES = "query ($yes: Boolean! = true, $no: Boolean = false, $first: Int)"
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
    "node": ('id: "Q291bnRyeTpGUg=="', 'id: "Q291bnRyeTpRUQ=="', 'id: "no id"'),
    "refreshes": ("", "first: 1", "first: -1"),
    "failedRefreshes": ("", "first: 1", "first: -1"),
}
Composite = GraphQLInterfaceType | GraphQLObjectType
_DIRECTIVES = ("", "", "", " @skip(if: $no)", " @include(if: $yes)", " @skip(if: $yes)")


@dataclass
class _Drawing:
    """One document being drawn; what is defined so far."""

    draw: st.DrawFn
    fragments: list[str] = field(default_factory=list)

    def selections(self, of: Composite, depth: int) -> str:
        """Return what is selected of a type."""
        return "{ " + " ".join(self.parts(of, depth)) + " }"

    def parts(self, of: Composite, depth: int) -> list[str]:
        """Return some fields and fragments."""
        names = [name for name, one in of.fields.items() if depth or not _has_fields(one.type)]
        chosen = self.draw(st.lists(st.sampled_from(("__typename", *names)), max_size=6))
        parts = [self.one(of, name, depth) for name in chosen]
        if depth and self.draw(st.booleans()):
            parts.append(self.fragment(of, depth - 1))
        return parts or ["__typename"]

    def one(self, of: Composite, name: str, depth: int) -> str:
        """Return one field."""
        directive = self.draw(st.sampled_from(_DIRECTIVES))
        if name == "__typename":
            return f"{self.draw(st.sampled_from(('', 'type: ')))}__typename{directive}"
        arguments = ARGUMENTS.get(name, ("",)) if of.name == "Query" else ("",)
        place = self.draw(st.integers(0, len(arguments) - 1))
        # Fields of one name must ask for the same, and have the same type.
        alias = f"{name}{place}: " if place or self.draw(st.booleans()) else ""
        given = f"({arguments[place]})" if arguments[place] else ""
        kind = get_named_type(of.fields[name].type)
        below = self.selections(kind, depth - 1) if isinstance(kind, Composite) else ""
        return f"{alias}{name}{given}{directive} {below}"

    def fragment(self, of: Composite, depth: int) -> str:
        """Return a fragment in place, or one defined elsewhere."""
        directive = self.draw(st.sampled_from(_DIRECTIVES))
        if isinstance(of, GraphQLInterfaceType):
            kinds: list[Composite] = [of, *SCHEMA.executable.get_possible_types(of)]
            of = self.draw(st.sampled_from(kinds))
        inside = self.selections(of, depth)
        if self.draw(st.booleans()):
            return f"... on {of.name}{directive} {inside}"
        name = f"f{len(self.fragments)}"
        self.fragments.append(f"fragment {name} on {of.name} {inside}")
        return f"...{name}{directive}"


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Draw a valid document with the variables $yes, $no and $first."""
    drawing = _Drawing(draw)
    query = SCHEMA.executable.query_type
    assert query is not None
    switches = "on: __typename @skip(if: $yes) off: __typename @skip(if: $no)"
    used = f"{switches} used: countries(first: $first) {{ __typename }}"
    inside = " ".join(drawing.parts(query, 4))
    return "\n".join([f"{VARIABLES} {{ {used} {inside} }}", *drawing.fragments])


def _has_fields(kind: object) -> bool:
    return isinstance(get_named_type(kind), Composite)  # type: ignore[call-overload] # any type
