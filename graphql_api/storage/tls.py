"""TLS to the database: verify by the certificate authorities of the system or DATABASE_SSL_CA."""

import base64
import ssl
from pathlib import Path

from graphql_api.errors import InvalidSetting
from graphql_api.storage.url import TLSMode

_PEM = b"-----BEGIN CERTIFICATE-----"
_MIN_CERTIFICATE_BYTES = 100
"""No certificate is shorter. A path without a dot or dash can be valid base64."""


def create_context(tls_mode: TLSMode, ssl_ca: str | None) -> ssl.SSLContext:
    """Return the TLS context for a mode.

    `ssl_ca` is the path of a PEM file, PEM text, or base64 of PEM or DER. It replaces the
    certificate authorities of the system.

    Raises:
        InvalidSetting: `ssl_ca` holds no certificate, or the key log of the environment cannot be written.
    """
    try:
        context = ssl.create_default_context()
    except OSError as error:
        raise InvalidSetting(f"SSLKEYLOGFILE names a file that cannot be written ({error.strerror}).") from None
    if ssl_ca is not None:
        content = _read_ca(ssl_ca.strip())
        # Unlike create_default_context, without the authorities of the system.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            # OpenSSL takes PEM as text, and only ASCII in the comments around it.
            context.load_verify_locations(cadata=content.decode("ascii", "ignore") if _PEM in content else content)
        except (ssl.SSLError, ValueError):  # ValueError for empty data
            raise InvalidSetting(_error_message("holds no certificate")) from None
    context.check_hostname = tls_mode is TLSMode.VERIFY_FULL
    return context


def _read_ca(ssl_ca: str) -> bytes:
    # PEM on one line, as in an environment file.
    pem = ssl_ca.replace("\\n", "\n").encode(errors="replace")
    if _PEM in pem:
        return pem
    if not ssl_ca:
        raise InvalidSetting(_error_message("is empty"))
    try:
        decoded = base64.b64decode("".join(ssl_ca.split()), validate=True)
    except ValueError:
        decoded = b""
    if len(decoded) >= _MIN_CERTIFICATE_BYTES:
        return decoded
    try:
        return Path(ssl_ca).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise InvalidSetting(_error_message(f"cannot be read ({reason})")) from None


def _error_message(problem: str) -> str:
    return f"DATABASE_SSL_CA {problem}; give the path of a CA certificate in PEM, or its content in base64."
