"""Whom the connection to the database trusts: the system's authorities, or DATABASE_SSL_CA."""

import base64
import ssl
from pathlib import Path

from graphql_api.errors import InvalidSetting
from graphql_api.storage.url import TLSMode

_PEM = b"-----BEGIN CERTIFICATE-----"
_MIN_CERTIFICATE_BYTES = 100
"""Bytes: less than any certificate; a path without a dot or a dash can be base64 by chance."""


def create_context(tls_mode: TLSMode, ssl_ca: str | None) -> ssl.SSLContext:
    """Return how to verify a server; `authority` is a path to PEM, PEM, or base64 of PEM or DER.

    Raises:
        InvalidSetting: the authority cannot be read as a certificate.
    """
    context = ssl.create_default_context()
    if ssl_ca is not None:
        content = _read_ca(ssl_ca.strip())
        # That authority alone: a certificate by any other one is a stranger's.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            # OpenSSL wants PEM as text, with no other than ASCII in what stands around it.
            context.load_verify_locations(
                cadata=content.decode("ascii", "ignore") if _PEM in content else content
            )
        except (ssl.SSLError, ValueError):  # the latter for nothing at all
            raise InvalidSetting(_error_message("holds no certificate")) from None
    context.check_hostname = tls_mode is TLSMode.VERIFY_FULL
    return context


def _read_ca(ssl_ca: str) -> bytes:
    # What an environment file has on one line.
    pem = ssl_ca.replace("\\n", "\n").encode(errors="replace")
    if _PEM in pem:
        return pem
    if not ssl_ca:
        raise InvalidSetting(_error_message("is empty"))
    try:
        decoded = base64.b64decode("".join(ssl_ca.split()), validate=True)
    except ValueError:
        decoded = b""
    return decoded if len(decoded) >= _MIN_CERTIFICATE_BYTES else _read_file(ssl_ca)


def _read_file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise InvalidSetting(_error_message(f"cannot be read ({reason})")) from None


def _error_message(problem: str) -> str:
    return (
        f"DATABASE_SSL_CA {problem}; give the path of a CA certificate in PEM, or its content in "
        "base64."
    )
