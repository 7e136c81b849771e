"""Whom the connection to the database trusts: the system's authorities, or DATABASE_SSL_CA."""

import base64
import binascii
import ssl
from pathlib import Path

from graphql_api.errors import InvalidSetting
from graphql_api.storage.address import Tls

_PEM = "-----BEGIN CERTIFICATE-----"


def create_context(tls: Tls, authority: str | None) -> ssl.SSLContext:
    """Return how to verify a server; `authority` is a path to PEM, PEM, or base64 of PEM or DER.

    Raises:
        InvalidSetting: the authority cannot be read as a certificate.
    """
    context = ssl.create_default_context()
    if authority is not None:
        # That authority alone: a certificate by any other one is a stranger's.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cadata=_read(authority.strip()))
        except ssl.SSLError:
            raise InvalidSetting(_complaint("holds no certificate")) from None
    context.check_hostname = tls is Tls.FULL
    return context


def _read(authority: str) -> str | bytes:
    if authority.startswith(_PEM):
        return authority
    try:
        decoded = base64.b64decode("".join(authority.split()), validate=True)
    except (binascii.Error, ValueError):
        return _read_file(authority)
    # A path without a dot or a dash can be base64 by chance; a certificate is much longer.
    if len(decoded) < 100:  # noqa: PLR2004 - said above
        return _read_file(authority)
    return decoded.decode() if decoded.startswith(_PEM.encode()) else decoded


def _read_file(path: str) -> str | bytes:
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise InvalidSetting(_complaint(f"cannot be read ({reason})")) from None
    return content.decode("latin-1") if _PEM.encode() in content else content


def _complaint(what: str) -> str:
    return (
        f"DATABASE_SSL_CA {what}; give the path of a CA certificate in PEM, or its content in "
        "base64."
    )
