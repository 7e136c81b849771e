"""URLs of summary images, whose digest depends on when the data was refreshed."""

import re

_URL = re.compile(r"(.*summary-\d+-\d+)-[0-9a-f]{16}\.png")


def without_digest(url: str) -> str:
    """Return the URL of an image without its digest, which it must have."""
    match = _URL.fullmatch(url)
    assert match, url
    return f"{match[1]}.png"
