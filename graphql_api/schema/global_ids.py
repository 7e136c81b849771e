"""Global ids of objects, as Relay defines them: base64 of the type and the code."""

import base64
import binascii
import re

from graphql_api.errors import InvalidInput

_ID_PATTERN = re.compile(r"(?:Country|Continent):[A-Z]{2}|Region:[0-9]{3}|Currency:[A-Z]{3}|Language:[a-z]{2,3}")


def encode_id(type_name: str, code: str) -> str:
    """Return the id of the object of a type with this code."""
    return base64.b64encode(f"{type_name}:{code}".encode()).decode()


def decode_id(text: str) -> tuple[str, str]:
    """Return the type and the code of an id. The object need not exist.

    Raises:
        InvalidInput: The text is not the id of an object.
    """
    try:
        decoded = base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        decoded = ""
    type_name, _, code = decoded.partition(":")
    # base64 has several spellings of one value; only the one that queries return is accepted.
    if _ID_PATTERN.fullmatch(decoded) is None or encode_id(type_name, code) != text:
        raise InvalidInput("id must be the id of an object, as a query returned it.")
    return type_name, code
