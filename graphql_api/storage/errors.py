"""Why a database could not be used, in words for the person who can change it."""

import socket
import ssl
from collections.abc import Iterator

from sqlalchemy.exc import DataError, DBAPIError, NotSupportedError, ProgrammingError

_MAX_MESSAGE_LENGTH = 300
"""Characters of a database's own words: they may quote a whole statement."""

_TLS_DISCONNECTS = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
_CERTIFICATE_EXPIRED, _CERTIFICATE_NOT_YET_VALID = 10, 9  # OpenSSL's X509_V_ERR_…
_HOST_NAME_MISMATCH = (62, 64)

_TLS_REJECTED_MESSAGE = "rejected SSL upgrade"
"""asyncpg's words."""
_STATEMENT_ERRORS = (ProgrammingError, DataError, NotSupportedError)
"""What is wrong with the statement, or with the tables that it is for."""

_NO_TLS_HINT = (
    "the server offers no TLS; turn it on there, or, if the network between is yours alone, write "
    "ssl-mode=DISABLED in DATABASE_URL"
)


class TLSNotSupported(ConnectionError):
    """The server offers no TLS, which asyncmy would find out when it is too late."""


def unwrap_driver_error(error: BaseException) -> BaseException:
    """Return the driver's own error."""
    return error.orig if isinstance(error, DBAPIError) and error.orig else error


def is_timeout(error: BaseException) -> bool:
    """Tell whether the error is that the database was waited for too long."""
    return any(isinstance(cause, TimeoutError) for cause in _iter_causes(error))


def is_permanent(error: BaseException) -> bool:
    """Tell whether it lasts until a person does something, whatever the database.

    What is not known to last is taken to pass: a server that starts, or is overloaded, or hands
    over to another one, has many ways to say so.
    """
    if isinstance(error, _STATEMENT_ERRORS):
        return True
    return any(
        isinstance(cause, TLSNotSupported)
        or _TLS_REJECTED_MESSAGE in str(cause)
        or _is_tls_failure(cause)
        for cause in _iter_causes(unwrap_driver_error(error))
    )


def describe(error: BaseException) -> str:
    """Return what went wrong, and what to do about it where that is the same for every database."""
    for cause in _iter_causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _describe_certificate_error(cause)
        if isinstance(cause, TLSNotSupported) or _TLS_REJECTED_MESSAGE in str(cause):
            return _NO_TLS_HINT
        if isinstance(cause, ConnectionRefusedError | socket.gaierror):
            return f"{_format_message(cause)}; check host and port in DATABASE_URL"
    return _format_message(error)


def _iter_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, what it was raised from, and so on; not what else was being handled."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _is_tls_failure(error: BaseException) -> bool:
    """Tell whether two who spoke TLS did not agree; one that broke off has not said so."""
    return isinstance(error, ssl.SSLError) and not isinstance(error, _TLS_DISCONNECTS)


def _describe_certificate_error(error: ssl.SSLCertVerificationError) -> str:
    reason = f"certificate verify failed, {error.verify_message.removesuffix('.')}; "
    if error.verify_code == _CERTIFICATE_EXPIRED:
        return f"{reason}renew it on the server, and check the clock here"
    if error.verify_code == _CERTIFICATE_NOT_YET_VALID:
        return f"{reason}check the clock here"
    if error.verify_code in _HOST_NAME_MISMATCH:
        return (
            f"{reason}write the host in DATABASE_URL as your provider shows it, or, to trust every "
            "server of that authority, ssl-mode=VERIFY_CA"
        )
    return f"{reason}set DATABASE_SSL_CA to the CA certificate that your provider shows"


def _format_message(error: BaseException) -> str:
    """Return an error's own words in one line, without what follows of statement and values."""
    match error.args:
        case (int(code), str(message)):  # as MySQL's drivers have it
            reason = f"{message} ({code})"
        case _:
            reason = str(error) or type(error).__name__
    line = " ".join(reason.split()).removesuffix(".")
    return line if len(line) <= _MAX_MESSAGE_LENGTH else f"{line[:_MAX_MESSAGE_LENGTH]}…"
