"""Global ids of objects, as Relay defines them: base64 of the type and the code."""

import base64
import binascii
import re

from graphql_api.errors import InvalidInput

_COUNTRY_ID_PATTERN = re.compile(r"Country:([A-Z]{2})")


def encode_country_id(code: str) -> str:
    """Return the id of the country with this alpha-2 code."""
    return base64.b64encode(f"Country:{code}".encode()).decode()


def decode_country_id(text: str) -> str:
    """Return the alpha-2 code of an id. The country need not exist.

    Raises:
        InvalidInput: The text is not the id of a country.
    """
    try:
        match = _COUNTRY_ID_PATTERN.fullmatch(base64.b64decode(text, validate=True).decode())
    except (binascii.Error, ValueError):
        match = None
    # base64 has several spellings of one value; only the one that queries return is accepted.
    if match is None or encode_country_id(match[1]) != text:
        raise InvalidInput("id must be the id of an object, as a query returned it.")
    return match[1]
