"""Text folding for comparison: case, accents and kinds of apostrophe do not matter. Of codes, only case."""

import sys
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

Folder: TypeAlias = Callable[[str, int], str]
"""`fold` or `fold_code`, called with the maximum length of the result."""
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
    }
)
"""Letters that Unicode does not decompose into a base letter and a mark, and the characters that
providers use as apostrophes (U+02BB is the Hawaiian and Tongan okina)."""


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
    if text.isascii():  # a shortcut for most names, with the result of the rules above
        return text[:max_length].lower().replace("`", "'")
    folded = ""
    for start in range(0, len(text), _CHUNK):
        folded += "".join(map(_fold_character, text[start : start + _CHUNK]))
        if len(folded) >= max_length:
            break
    return folded[:max_length]


def fold_code(code: str, max_length: int = sys.maxsize) -> str:
    """Return the form of an ISO code to compare and sort by. A text that is not ASCII is no code and stays as it is."""
    # Lower case of other letters may be ASCII: that of the Kelvin sign is k.
    return code[:max_length].lower() if code.isascii() else code


def measure_length(text: str) -> int:
    """Return the length that a text has at most while it is folded, with long texts normalized in part."""
    if text.isascii():
        return len(text)
    return len(unicodedata.normalize("NFKD", text[:_MAX_NORMALIZED])) + len(text[_MAX_NORMALIZED:])
