"""Types of settings: how the text of a variable is parsed and checked."""

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, TypeAdapter, ValidationError
from pydantic_settings import NoDecode

_DEFAULT_RATE_WINDOW = 60
"""Seconds of a rate limit that names none."""


def _comma_separated(parse: Callable[[list[str]], object]) -> BeforeValidator:
    """Return a validator that parses the entries of a text, and leaves other values as they are.

    A comma between double quotes separates nothing.
    """

    def validate(value: object) -> object:
        if not isinstance(value, str):
            return value
        entries = re.findall(r'(?:"[^"]*"|[^,"])+|"', value)
        if '"' in entries:
            raise ValueError("has a double quote without its partner")
        return parse([text for entry in entries if (text := entry.replace('"', "").strip())])

    return BeforeValidator(validate)


def _parse_sources(entries: list[str]) -> tuple[tuple[str, str | None], ...]:
    if not entries:
        raise ValueError("name at least one provider")
    sources = [entry.partition("=") for entry in entries]
    for name, equals, url in sources:
        # The messages leave the value out: it may be a URL that holds a key.
        if not re.fullmatch(r"[a-z0-9-]+", name):
            raise ValueError("should be name or name=URL, separated by commas; quote a URL that contains one")
        if equals and not _is_web_url(url):
            raise ValueError(f"{name}= must be followed by a complete http or https URL")
    return tuple((name, url or None) for name, _, url in sources)


def _parse_query_limits(entries: list[str]) -> dict[str, int]:
    pairs = [entry.partition("=") for entry in entries]
    # `int` also accepts signs, underscores and other scripts' digits.
    if any(not re.fullmatch(r"[1-9][0-9]{0,8}", number) for _, _, number in pairs):
        raise ValueError("should be name=number, separated by commas, numbers from 1 to 999999999")
    return {name: int(number) for name, _, number in pairs}


def _parse_origins(entries: list[str]) -> tuple[str, ...]:
    # Origins are compared as text; browsers send them in lower case and without a path.
    pattern = re.compile(r"https?://[^A-Z/?#@]+")
    are_origins = all(_is_web_url(entry) and pattern.fullmatch(entry) for entry in entries)
    if entries != ["*"] and not are_origins:
        raise ValueError("should be origins such as https://example.org, separated by commas, or *")
    return tuple(entries)


def _check_public_url(value: str) -> str:
    if not _is_web_url(value) or "?" in value or "#" in value:
        raise ValueError("should be an http or https URL without ? and #")
    return value.rstrip("/")


def _check_proxies(value: str) -> str:
    try:
        for entry in map(str.strip, value.split(",")):
            if entry != "*":
                ipaddress.ip_network(entry)
    except ValueError:
        raise ValueError("should be IP addresses or networks, separated by commas, or *") from None
    return value


def _is_web_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and has_host and not re.search(r"\s", value)


def _strip_brackets(value: str) -> str:
    """Return a host without the brackets that an IPv6 address has in a URL."""
    host = value.strip()
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _check_token(value: SecretStr) -> SecretStr:
    # Files that hold a secret often end with a newline.
    token = value.get_secret_value().strip()
    if not re.fullmatch(r"[!-~]+", token):
        raise ValueError("should be printable ASCII characters without spaces")
    return SecretStr(token)


def _check_tokens(value: SecretStr) -> SecretStr:
    tokens = [_check_token(SecretStr(token)).get_secret_value() for token in value.get_secret_value().split(",")]
    return SecretStr(",".join(tokens))


def _parse_rate_limit(value: object) -> object:
    if not isinstance(value, str):
        return value
    # `int` also accepts signs, underscores and other scripts' digits.
    match = re.fullmatch(r"([0-9]{1,12})(?:/([1-9][0-9]{0,5}))?", value.strip())
    if match is None:
        raise ValueError("should be cost/seconds, such as 100000/60, or 0 for no limit")
    return (int(match[1]), int(match[2] or _DEFAULT_RATE_WINDOW)) if int(match[1]) else None


def _parse_trusted_only(value: object) -> object:
    text = value.strip().lower() if isinstance(value, str) else value
    if text == "log":
        return text
    try:
        return TypeAdapter(bool).validate_python(text)
    except ValidationError:
        raise ValueError("should be true, false or log") from None


IN_LOWER_CASE = BeforeValidator(lambda value: value.strip().lower() if isinstance(value, str) else value)
SourceList = Annotated[
    tuple[tuple[str, str | None], ...],
    NoDecode,
    _comma_separated(_parse_sources),
    Field(repr=False),  # a URL may hold a key
]
Origins = Annotated[tuple[str, ...], NoDecode, _comma_separated(_parse_origins)]
Host = Annotated[str, AfterValidator(_strip_brackets)]
Proxies = Annotated[str, AfterValidator(_check_proxies)]
WebURL = Annotated[str, AfterValidator(_check_public_url)]
Token = Annotated[SecretStr, AfterValidator(_check_token)]
Tokens = Annotated[SecretStr, AfterValidator(_check_tokens)]
QueryLimitOverrides = Annotated[dict[str, int], NoDecode, _comma_separated(_parse_query_limits)]
# SQLite counts milliseconds in 32 bits; beyond that it does not wait at all.
Seconds = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
Interval = Annotated[float, Field(ge=0, le=1_000_000_000, allow_inf_nan=False)]
TrustedOnly = Annotated[bool | Literal["log"], BeforeValidator(_parse_trusted_only)]
RateLimit = Annotated[tuple[int, int] | None, NoDecode, BeforeValidator(_parse_rate_limit)]
"""Cost, and the seconds in which a client may spend it. None: no limit."""
