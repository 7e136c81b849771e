"""Text folding: case, accents, and kinds of apostrophe, dash and space do not matter. Of codes, only case does not."""

import re
import sys
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

from graphql_api.utils.slices import end_slice

Folder: TypeAlias = Callable[[str, int], str]
"""`fold`, `fold_code` or `fold_name`, called with the maximum length of the result."""
_LETTERS = str.maketrans(
    {
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "ł": "l",
        "ħ": "h",
        "þ": "th",
        "æ": "ae",
        "œ": "oe",
        "ı": "i",
        "‘": "'",
        "’": "'",
        "‛": "'",
        "ʻ": "'",
        "ʼ": "'",
        "ʹ": "'",
        "`": "'",
        "´": "'",
        "\u1ffd": "'",  # oxia, canonically equivalent to the acute accent above
        "＇": "'",
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    }
)
"""Letters that Unicode does not decompose into a base letter and a mark, and the characters that
providers use as apostrophes (U+02BB is the Hawaiian and Tongan okina) and as hyphens."""

_BETWEEN_WORDS = str.maketrans({"'": None, ".": None, "_": " ", "&": " and "})
_SPACES = re.compile(r"\s{2,}|[^\S ]")
"""White space that is not a single space."""
_VOWEL_SIGNS = "".join(
    c
    for c in map(chr, range(0x780, 0x1D00))
    if unicodedata.category(c) in ("Mc", "Mn") and not unicodedata.combining(c)
)
"""Marks that are letters to a reader, in the scripts of South and Southeast Asia. Folding keeps them."""
_WORD = re.compile(rf"[\w{_VOWEL_SIGNS}]+")

_MAX_NORMALIZED = 200
"""Characters of a text that are normalized at once, which takes time that is quadratic in combining marks."""
_CHUNK = 64
"""Characters that are folded before the length is looked at."""


@lru_cache(maxsize=4096)
def _fold_character(character: str) -> str:
    is_special = ord(character) in _LETTERS or unicodedata.combining(character)
    if not is_special and unicodedata.normalize("NFKD", character.casefold()) == character:
        return character
    folded = character
    for _ in range(2):
        # NFKD may add capitals, and case folding may add marks. A second pass removes both.
        decomposed = unicodedata.normalize("NFKD", folded.translate(_LETTERS).casefold())
        folded = "".join(c for c in decomposed if not unicodedata.combining(c))
    return folded.translate(_LETTERS)


def fold(text: str, max_length: int = sys.maxsize) -> str:
    """Return the form of `text` to compare and sort by, cut off after `max_length` characters.

    Folding it again changes nothing. The time is linear: normalizing a whole text takes time that is
    quadratic in its combining marks, and one character may become eighteen.
    """
    if text.isascii() and not _SPACES.search(text, 0, max_length):
        return text[:max_length].lower().replace("`", "'")  # a shortcut for most names, with the result of the rules
    folded = ""
    for start in range(0, len(text), _CHUNK):
        end_slice()
        chunk = _SPACES.sub(" ", "".join(map(_fold_character, text[start : start + _CHUNK])))
        folded += chunk.removeprefix(" ") if folded.endswith(" ") else chunk
        if len(folded) >= max_length:
            break
    return folded[:max_length]


def split_name(name: str, max_length: int = sys.maxsize // 2) -> list[str]:
    """Return the folded words of a name, without the article; the folded text if there are none.

    Dashes, spaces and punctuation between words do not matter, nor do apostrophes and full stops in them.
    Of a text that has more than twice `max_length` characters with those, one word longer than `max_length` is left.
    """
    folded = fold(name, 2 * max_length)
    if len(folded) == 2 * max_length:
        return [folded]
    words = _WORD.findall(folded.translate(_BETWEEN_WORDS))
    return [word for word in words if word != "the"] or [folded]


def fold_name(name: str, max_length: int = sys.maxsize // 2) -> str:
    """Return the form of a name to look it up by: `split_name` without spaces.

    So it does not matter where a name has spaces, e.g. instead of an apostrophe or between initials.
    """
    return "".join(split_name(name, max_length))


def fold_code(code: str, max_length: int = sys.maxsize) -> str:
    """Return the form of an ISO code to compare and sort by. A text that is not ASCII is no code and stays as it is."""
    # Lower case of other letters may be ASCII: that of the Kelvin sign is k.
    return code[:max_length].lower() if code.isascii() else code


def measure_length(text: str) -> int:
    """Return the length that a text has at most while it is folded, with long texts normalized in part."""
    if text.isascii():
        return len(text)
    end_slice()
    return len(unicodedata.normalize("NFKD", text[:_MAX_NORMALIZED])) + len(text[_MAX_NORMALIZED:])
