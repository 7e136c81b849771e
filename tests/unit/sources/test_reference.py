"""The loaded reference: identities by code, with flags."""

from dataclasses import replace

from graphql_api.domain.country import CountryIdentity
from graphql_api.domain.nodes import NO_LINKS
from graphql_api.sources.reference import load_reference


def test_every_country_by_its_code() -> None:
    """All 250 countries are there, each under its own code."""
    reference = load_reference()
    assert len(reference) == 250
    assert [code for code, identity in reference.items() if identity.code != code] == []


def test_identity() -> None:
    """A row becomes an identity with every field and the URL of the flag."""
    assert replace(load_reference()["TR"], links=NO_LINKS) == CountryIdentity(
        code="TR",
        alpha3="TUR",
        name="Türkiye",
        region="Asia",
        subregion="Western Asia",
        flag_url="https://flagcdn.com/tr.svg",
        aliases=("Republic of Turkey", "Republic of Türkiye", "Turkey"),
        numeric_code="792",
        other_codes=(),
        tender=("TRY",),
    )


def test_no_subregion() -> None:
    """Antarctica has no subregion: None, not an empty text."""
    antarctica = load_reference()["AQ"]
    assert (antarctica.region, antarctica.subregion) == ("Antarctica", None)


def test_flags() -> None:
    """Every flag's URL has the code of its own country."""
    flags = {identity.flag_url: code for code, identity in load_reference().items()}
    assert flags == {f"https://flagcdn.com/{code.lower()}.svg": code for code in load_reference()}
