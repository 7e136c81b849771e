"""The ids of objects: what client caches know an object by, made of its type and its code."""

import base64
import binascii
import re

from graphql_api.errors import InvalidInput

_COUNTRY_ID_PATTERN = re.compile(r"Country:([A-Z]{2})")


def encode_country_id(code: str) -> str:
    """Return the id of the country with an alpha-2 code; it never changes."""
    return base64.b64encode(f"Country:{code}".encode()).decode()


def decode_country_id(text: str) -> str:
    """Return the alpha-2 code of an id; there need not be such a country.

    Raises:
        InvalidInput: nothing here has such an id.
    """
    try:
        match = _COUNTRY_ID_PATTERN.fullmatch(base64.b64decode(text, validate=True).decode())
    except (binascii.Error, ValueError):
        match = None
    # One object has one id, though base64 can be written in several ways.
    if match is None or encode_country_id(match[1]) != text:
        raise InvalidInput("id must be the id of an object, as a query returned it.")
    return match[1]
