"""Text as people compare it: without regard to case, accents or the kind of apostrophe."""

import unicodedata

# Letters that Unicode does not decompose into a base letter and a mark, and the apostrophes that
# sources use for one another (U+02BB is the Hawaiian and Tongan okina).
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
        "\u1ffd": "'",  # another code for the one before
        "＇": "'",
    }
)


def fold(text: str) -> str:
    """Return the form of `text` in which equal means "the same but for case, accents, apostrophes".

    Folding a folded text changes nothing. The form is for comparing and sorting, not for showing.
    """
    if text.isascii():  # most names: the rules below come to this
        return text.lower().replace("`", "'")
    folded = text
    for _ in range(2):
        # Compatibility forms may bring new capitals, and case folding new marks: twice settles it.
        decomposed = unicodedata.normalize("NFKD", folded.translate(_LETTERS).casefold())
        folded = "".join(c for c in decomposed if not unicodedata.combining(c))
    return folded.translate(_LETTERS)
