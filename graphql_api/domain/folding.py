"""Text folding for comparison: case, accents and kinds of apostrophe do not matter. Of codes, only case."""

import unicodedata

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


def fold(text: str) -> str:
    """Return the form of `text` to compare and sort by. Folding it again changes nothing."""
    if text.isascii():  # a shortcut for most names, with the result of the rules below
        return text.lower().replace("`", "'")
    folded = text
    for _ in range(2):
        # NFKD may add capitals, and case folding may add marks. A second pass removes both.
        decomposed = unicodedata.normalize("NFKD", folded.translate(_LETTERS).casefold())
        folded = "".join(c for c in decomposed if not unicodedata.combining(c))
    return folded.translate(_LETTERS)


def fold_code(code: str) -> str:
    """Return the form of an ISO code to compare and sort by. A text that is not ASCII is no code and stays as it is."""
    # Lower case of other letters may be ASCII: that of the Kelvin sign is k.
    return code.lower() if code.isascii() else code
