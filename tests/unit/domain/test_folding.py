"""Folding: texts that read the same become equal, and no others."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.domain.folding import fold, fold_name
from tests.support.factories import HARD_TEXTS, few_examples

ANY_TEXT = st.text(st.characters(exclude_categories=())) | st.sampled_from(HARD_TEXTS)
"""With lone surrogates, which JSON can carry."""


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Côte d’Ivoire", "cote d'ivoire"),
        ("São Tomé & Príncipe", "sao tome & principe"),
        ("Türkiye", "turkiye"),
        ("Åland Islands", "aland islands"),
        ("Curaçao", "curacao"),
        ("Straße", "strasse"),
        ("STRAẞE", "strasse"),
        ("ﬁnland, oﬃce", "finland, office"),
        ("Ærø, Œuvre", "aero, oeuvre"),
        ("ǼRØ", "aero"),
        ("Łódź", "lodz"),
        ("Đà Nẵng", "da nang"),
        ("Ħamrun", "hamrun"),
        ("Þórshöfn, Sauðárkrókur", "thorshofn, saudarkrokur"),
        ("İstanbul, Iğdır", "istanbul, igdir"),
        ("Ｆｒａｎｃｅ", "france"),
        ("Brand™ in ㎅", "brandtm in kb"),
        ("\u1d2d, \ua7f8", "ae, h"),  # small raised Æ and Ħ
        ("ΌΔΟΣ, όδος", "οδοσ, οδοσ"),
        ("Guinea-Bissau  2\n", "guinea-bissau 2 "),
        (" \t\u00a0\u3000\u2009Côte\r\n d\u0085I ", " cote d i "),
        (" " * 200 + "É" + " " * 200, " e "),
        ("", ""),
    ],
)
def test_fold(text: str, folded: str) -> None:
    """Case, accents, ligatures, widths and runs of spaces are folded, but hyphens and digits stay."""
    assert fold(text) == folded


@pytest.mark.parametrize("apostrophe", list("'‘’‛ʻʼʹ`´＇\u1ffd\u1fef\u0374"))
def test_apostrophes(apostrophe: str) -> None:
    """Every character that providers use as an apostrophe folds to the same one."""
    assert fold(f"Nuku{apostrophe}alofa") == "nuku'alofa"


@pytest.mark.parametrize("dash", list("-\u2010\u2011\u2012\u2013\u2014\u2015\u2212"))
def test_dashes(dash: str) -> None:
    """Every dash, and the minus sign, folds to the hyphen."""
    assert fold(f"Guinea{dash}Bissau") == "guinea-bissau"


@pytest.mark.parametrize(
    "name",
    [
        "St. Côte d’Ivoire & Guinea-Bissau",
        "st cote divoire and guinea bissau",
        "St.Côte-d-Ivoire&GuineaBissau",
        "The St. COTE D'IVOIRE, and (the) Guinea\u2212Bissau",
        " \u00a0St.\u2003Co\u0302te  d\u02bbIvoire\t&\nGuinea \u2014 Bissau\u202f",
    ],
)
def test_fold_name(name: str) -> None:
    """Names are equal to a look-up whatever is between and in their words, and wherever they have spaces."""
    assert fold_name(name) == "stcotedivoireandguineabissau"


@pytest.mark.parametrize(("name", "key"), [("", ""), ("?!", "?!"), ("the", "the"), ("Ébène-7", "ebene7")])
def test_fold_other_names(name: str, key: str) -> None:
    """A text without words stays as it is."""
    assert fold_name(name) == key


@pytest.mark.parametrize("text", ["x" * 99, "x" + "-" * 99, "É" + "(" * 99])
def test_fold_name_of_limited_length(text: str) -> None:
    """A text that is much longer than the longest name equals none."""
    assert len(fold_name(text, 20)) > 20
    assert fold_name("x" + "-" * 30, 20) == "x"


@few_examples
@given(text=ANY_TEXT)
def test_fold_is_idempotent(text: str) -> None:
    """Folding a folded text changes nothing."""
    assert fold(fold(text)) == fold(text)


@few_examples
@given(text=ANY_TEXT)
def test_fold_ignores_case(text: str) -> None:
    """A text and its upper and lower case fold to one form."""
    assert {fold(text.upper()), fold(text.lower())} == {fold(text)}


@few_examples
@given(text=ANY_TEXT, form=st.sampled_from(("NFC", "NFD", "NFKC", "NFKD")))
def test_fold_ignores_normal_forms(text: str, form: str) -> None:
    """Normal forms, compatibility ones included, make no difference."""
    replaced = text.replace("´", "'").replace("\u1ffd", "'")  # NFKC makes them a space and an accent
    normalized = unicodedata.normalize(form, replaced)  # type: ignore[arg-type]  # one of its four
    assert fold(normalized) == fold(text)


@few_examples
@given(left=ANY_TEXT, right=ANY_TEXT)
def test_fold_works_letter_by_letter(left: str, right: str) -> None:
    """Folding distributes over concatenation but for a run of spaces, so substrings can be compared folded."""
    assert fold(left + right) == fold(fold(left) + fold(right))
    assert fold(left + right).startswith(fold(left))
    assert fold(left + right).endswith(fold(right))
