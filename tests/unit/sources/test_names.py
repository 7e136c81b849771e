"""Names in other languages: fallback along the tag, and which tags are well formed."""

import re

import pytest

from graphql_api.domain.folding import split_name
from graphql_api.errors import InvalidInput
from graphql_api.sources import names
from graphql_api.sources.names import find_name
from tests.support.world import WORLD


@pytest.mark.parametrize(
    ("lang", "name"),
    [
        ("de", "Tschechien"),
        ("DE-at", "Tschechien"),
        ("de-1996", "Tschechien"),
        ("pt", "Tchéquia"),
        ("pt-BR", "Tchéquia"),
        ("pt-PT", "Chéquia"),
        ("zh", "捷克"),
        ("sr", "Чешка"),
        ("sr-Latn", "Češka"),
        ("SR-latn-RS", "Češka"),
        ("sr-ME", "Češka"),  # where Latin is usual
        ("iw", "צ׳כיה"),  # now he
        ("deu", "Tschechien"),
        ("en-GB", "Czechia"),
        ("tlh", None),
        ("aliases", None),
        ("search", None),
        ("x-klingon", None),
        ("i-klingon", None),
        ("zh-min-nan", "捷克"),
        ("de-DE-u-co-phonebk-x-a", "Tschechien"),
    ],
)
def test_fallback(lang: str, name: str | None) -> None:
    """A tag without names falls back along its subtags; without any, only the English name is known."""
    assert find_name("countries", "CZ", lang) == name


def test_kinds() -> None:
    """Continents, currencies and languages have names too; Chinese of Taiwan is traditional."""
    assert find_name("continents", "EU", "fr") == "Europe"
    assert find_name("currencies", "USD", "es") == "dólar estadounidense"
    assert find_name("languages", "pt", "fr") == "portugais"
    assert (find_name("currencies", "EUR", "zh-TW"), find_name("currencies", "EUR", "zh-CN")) == ("歐元", "欧元")
    assert find_name("countries", "QZ", "de") is None


@pytest.mark.parametrize(
    "lang",
    ["", "d", "pt_BR", "de-", "-de", "de--AT", "a-b-c", "toolonglang", "de-AT-AT", "dé", "de\n", "de-" + "x" * 99],
)
def test_ill_formed(lang: str) -> None:
    """A text that is no tag of BCP 47, or one of more than 100 characters, is rejected and quoted."""
    with pytest.raises(InvalidInput, match=re.escape("lang must be a BCP 47 tag such as de or pt-BR, not ")):
        find_name("countries", "CZ", lang)


def test_other_names() -> None:
    """Every country has its names of all locales, as people write them, each with the words that a search folds."""
    other = {code: identity.links.load_other_names() for code, identity in WORLD.items()}
    assert [code for code, found in other.items() if len(found.names) < 10] == []
    texts = [text for found in other.values() for text in (*found.names, *found.capitals)]
    words = [word for found in other.values() for word in (*found.words, *found.capital_words)]
    assert [" ".join(split_name(text)) for text in texts] == words
    for lang in ("de", "ar", "ja", "zh-Hant"):
        named = {code: find_name("countries", code, lang) for code in WORLD}
        assert [
            name for code, name in named.items() if name and " ".join(split_name(name)) not in other[code].words
        ] == []
    assert {"北京", "Peking"} <= set(other["CN"].capitals)


def test_every_locale() -> None:
    """Every locale names most countries, currencies and languages, and every alias is one of them."""
    locales = {name.removesuffix(".json") for name in names._list_files() if not name.startswith("_")}
    assert len(locales) == 108
    assert set(names._load_aliases().values()) <= locales
    assert {"zh", "hi", "es", "ar", "fr", "bn", "pt", "ru", "ur", "id", "de", "ja", "zh-Hant"} <= locales
    named = {locale: names._load_locale(locale)["countries"].keys() for locale in locales}
    assert [locale for locale in locales if not named[locale] <= WORLD.keys()] == []
    assert sorted(len(codes) for codes in named.values())[10] > 150
