"""The ids of objects: what client caches know an object by, made of its type and its code."""

import base64
import binascii
import re

from graphql_api.errors import InvalidInput

_COUNTRY = re.compile(r"Country:([A-Z]{2})")


def country_id(code: str) -> str:
    """Return the id of the country with an alpha-2 code; it never changes."""
    return base64.b64encode(f"Country:{code}".encode()).decode()


def read_country_id(text: str) -> str:
    """Return the alpha-2 code of an id; there need not be such a country.

    Raises:
        InvalidInput: nothing here has such an id.
    """
    try:
        found = _COUNTRY.fullmatch(base64.b64decode(text, validate=True).decode())
    except (binascii.Error, ValueError):
        found = None
    # One object has one id, though base64 can be written in several ways.
    if found is None or country_id(found[1]) != text:
        raise InvalidInput("id must be the id of an object, as a query returned it.")
    return found[1]
