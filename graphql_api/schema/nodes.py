"""Output types of the graph around countries, each over its domain object."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import strawberry

from graphql_api.domain.country import Country
from graphql_api.domain.nodes import Continent, Currency, Language, Region
from graphql_api.schema.context import SnapshotInfo
from graphql_api.schema.global_ids import encode_id
from graphql_api.schema.refresh_types import described
from graphql_api.sources.names import find_name

if TYPE_CHECKING:
    from graphql_api.schema.types import CountryType

LangArgument = Annotated[
    str | None,
    strawberry.argument(
        "BCP 47 tag of the language, e.g. de or pt-BR. Falls back along the tag, then to English. Null: English."
    ),
]
LazyCountry = Annotated["CountryType", strawberry.lazy("graphql_api.schema.types")]
"""Imported when the schema is built: countries have fields of the types below."""
_COUNTRIES = "The countries, by name."


def resolve_name(kind: str, code: str, name: str, lang: str | None) -> str:
    """Return the name of an object in a language, or `name` if there is none."""
    return name if lang is None else find_name(kind, code, lang) or name


def _resolve_id(parent: strawberry.Parent[Any]) -> strawberry.ID:
    return strawberry.ID(encode_id(type(parent).__name__, parent.code))


@strawberry.interface(description="An object with an id, which `node` returns for that id.")
class Node:
    """Over a domain object with a `code`, whose class has the name of the GraphQL type."""

    is_part_of_snapshot: ClassVar = True

    id: strawberry.ID = strawberry.field(
        resolver=_resolve_id, description="Opaque. Never changes: a key for client caches. `node` accepts it."
    )

    @classmethod
    def resolve_type(cls, instance: object, *_: object) -> str:
        return type(instance).__name__

    @classmethod
    def is_type_of(cls, instance: object, *_: object) -> bool:
        definition = cls.__strawberry_definition__  # type: ignore[attr-defined] # the decorator adds it
        return type(instance).__name__ == str(definition.name)


@strawberry.type(name="Continent", description="A continent. Countries are placed as in GeoNames.")
class ContinentType(Node):
    code: str = described("AF, AN, AS, EU, NA, OC or SA.")

    @strawberry.field(description="Name, in English or another language.")
    @staticmethod
    def name(parent: strawberry.Parent[Continent], lang: LangArgument = None) -> str:
        return resolve_name("continents", parent.code, parent.name, lang)

    @strawberry.field(description=_COUNTRIES, graphql_type=list[LazyCountry])
    @staticmethod
    def countries(parent: strawberry.Parent[Continent], info: SnapshotInfo) -> list[Country]:
        return info.root_value.snapshot.graph.get_countries(parent)


@strawberry.type(name="Region", description="A region or subregion of UN M49, or Antarctica.")
class RegionType(Node):
    code: str = described("UN M49 code, three digits, e.g. 150.")
    name: str = described("English name, e.g. Europe: that of Country.region or Country.subregion.")
    parent: "RegionType | None" = described("The region of a subregion; null for a region.")

    @strawberry.field(description="The subregions, by code; none of a subregion.", graphql_type=list["RegionType"])
    @staticmethod
    def subregions(parent: strawberry.Parent[Region], info: SnapshotInfo) -> list[Region]:
        return info.root_value.snapshot.graph.get_subregions(parent)

    @strawberry.field(
        description="The countries, those of subregions included, by name.", graphql_type=list[LazyCountry]
    )
    @staticmethod
    def countries(parent: strawberry.Parent[Region], info: SnapshotInfo) -> list[Country]:
        return info.root_value.snapshot.graph.get_countries(parent)


@strawberry.type(name="Currency", description="A currency that is in use as tender.")
class CurrencyType(Node):
    code: str = described("ISO 4217 code, e.g. EUR.")

    @strawberry.field(description="Name, in English or another language.")
    @staticmethod
    def name(parent: strawberry.Parent[Currency], lang: LangArgument = None) -> str:
        return resolve_name("currencies", parent.code, parent.name, lang)

    symbol: str = described("As people write it beside amounts, e.g. €; several have $. The code if there is none.")
    digits: int = described("Digits after the decimal point in use, e.g. 0 for JPY.")

    @strawberry.field(
        description="Units of it for one unit of `base`, at the rates served now; null if either has no rate."
    )
    @staticmethod
    def rate(
        parent: strawberry.Parent[Currency],
        info: SnapshotInfo,
        base: Annotated[str, strawberry.argument("ISO 4217 code. Case does not matter.")] = "USD",
    ) -> float | None:
        return info.root_value.snapshot.graph.get_rate(parent, base)

    @strawberry.field(
        description=f"{_COUNTRIES} Those that use it beside another currency too.", graphql_type=list[LazyCountry]
    )
    @staticmethod
    def countries(parent: strawberry.Parent[Currency], info: SnapshotInfo) -> list[Country]:
        return info.root_value.snapshot.graph.get_countries(parent)


@strawberry.type(name="Language", description="A language that is spoken in a country.")
class LanguageType(Node):
    code: str = described("BCP 47 code without a script, e.g. pt.")

    @strawberry.field(description="Name, in English or another language.")
    @staticmethod
    def name(parent: strawberry.Parent[Language], lang: LangArgument = None) -> str:
        return resolve_name("languages", parent.code, parent.name, lang)

    native_name: str | None = described("Name in the language itself; null if Unicode CLDR has none.")
    rtl: bool = described("Whether its usual script is written from right to left.")

    @strawberry.field(description=_COUNTRIES, graphql_type=list[LazyCountry])
    @staticmethod
    def countries(parent: strawberry.Parent[Language], info: SnapshotInfo) -> list[Country]:
        return info.root_value.snapshot.graph.get_countries(parent)


@strawberry.type(name="CountryLanguage", description="The use of a language in a country, from Unicode CLDR.")
class CountryLanguageType:
    is_part_of_snapshot: ClassVar = True

    language: LanguageType = described("The language.")
    official: bool = described("Whether it is official in the whole country.")
    share: float | None = described("Share of the population that uses it, 0 to 1; null if unknown.")


@strawberry.type(name="LocalizedName", description="A name in a language.")
class LocalizedNameType:
    is_part_of_snapshot: ClassVar = True

    lang: str = described("BCP 47 tag, e.g. zh-Hant.")
    name: str = described("The name.")


@strawberry.type(name="PostalCode", description="The postal codes of a country, from GeoNames.")
class PostalCodeType:
    is_part_of_snapshot: ClassVar = True

    format: str | None = described(
        "# for a digit, @ for a letter, e.g. #####-###; null if regex does not determine it."
    )
    regex: str | None = described("Regular expression of a whole code, anchored; null if there is none.")


@strawberry.type(name="CountryMatch", description="A country that a search found.")
class CountryMatchType:
    country: LazyCountry = described("The country.")
    score: float = described(
        "How well it matches, 0 to 1: 1 for a whole name or code, from 0.9 for the start of a name, from 0.8 for the "
        "starts of its words, less for a name of similar letters."
    )
    matched: str = described("The name or code that matches, as people write it.")


@strawberry.type(name="ConvertedAmount", description="An amount of money in another currency, without any fee.")
class ConvertedAmountType:
    amount: float = described(
        "The amount, to 15 significant digits: `currency.digits` are the decimals that people write."
    )
    currency: CurrencyType = described("The currency.")
    rate: float = described("Units of it for one of `from`, to 15 significant digits.")
