"""Interprets database errors: timeout, permanent or not, and a message for operators."""

import socket
import ssl
from collections.abc import Iterator

from sqlalchemy.exc import DataError, DBAPIError, NotSupportedError, ProgrammingError

_MAX_MESSAGE_LENGTH = 300
"""Characters. A database may quote a whole statement."""

_TLS_DISCONNECTS = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
_CERTIFICATE_EXPIRED, _CERTIFICATE_NOT_YET_VALID = 10, 9  # OpenSSL's X509_V_ERR_…
_HOST_NAME_MISMATCH = (62, 64)

_TLS_REJECTED_MESSAGE = "rejected SSL upgrade"
"""Part of asyncpg's message."""
_STATEMENT_ERRORS = (ProgrammingError, DataError, NotSupportedError)
"""Errors of the statement or of its tables."""

_NO_TLS_HINT = (
    "the server does not support TLS; enable it there, or, on a private network, write "
    "ssl-mode=DISABLED in DATABASE_URL"
)


class TLSNotSupported(ConnectionError):
    """The server does not support TLS. asyncmy itself would send the password without it."""


def unwrap_driver_error(error: BaseException) -> BaseException:
    """Return the driver's error if SQLAlchemy has wrapped one, else `error`."""
    return error.orig if isinstance(error, DBAPIError) and error.orig else error


def is_timeout(error: BaseException) -> bool:
    """Return whether an error is caused by a time limit."""
    return any(isinstance(cause, TimeoutError) for cause in _iter_causes(error))


def is_permanent(error: BaseException) -> bool:
    """Return whether an error stays until an operator acts, on any database.

    Unknown errors are treated as transient: a database that is starting, overloaded or failing
    over reports it in too many ways to list.
    """
    if isinstance(error, _STATEMENT_ERRORS):
        return True
    return any(
        isinstance(cause, TLSNotSupported)
        or _TLS_REJECTED_MESSAGE in str(cause)
        or (isinstance(cause, ssl.SSLError) and not isinstance(cause, _TLS_DISCONNECTS))
        for cause in _iter_causes(unwrap_driver_error(error))
    )


def describe(error: BaseException) -> str:
    """Return the message of an error, with a fix if that is the same for every database."""
    for cause in _iter_causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _describe_certificate_error(cause)
        if isinstance(cause, TLSNotSupported) or _TLS_REJECTED_MESSAGE in str(cause):
            return _NO_TLS_HINT
        if isinstance(cause, ConnectionRefusedError | socket.gaierror):
            return f"{_format_message(cause)}; check host and port in DATABASE_URL"
    return _format_message(error)


def _iter_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its chain of causes, without contexts."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _describe_certificate_error(error: ssl.SSLCertVerificationError) -> str:
    reason = f"certificate verify failed, {error.verify_message.removesuffix('.')}; "
    if error.verify_code == _CERTIFICATE_EXPIRED:
        return f"{reason}renew it on the server, or check the clock of this machine"
    if error.verify_code == _CERTIFICATE_NOT_YET_VALID:
        return f"{reason}check the clock of this machine"
    if error.verify_code in _HOST_NAME_MISMATCH:
        return (
            f"{reason}write the host in DATABASE_URL as your provider shows it, or "
            "ssl-mode=VERIFY_CA to trust every server of that authority"
        )
    return f"{reason}set DATABASE_SSL_CA to the CA certificate that your provider shows"


def _format_message(error: BaseException) -> str:
    """Return the message of an error in one line, without statement and values."""
    match error.args:
        case (int(code), str(message)):  # the format of MySQL's drivers
            reason = f"{message} ({code})"
        case _:
            reason = str(error) or type(error).__name__
    line = " ".join(reason.split()).removesuffix(".")
    return line if len(line) <= _MAX_MESSAGE_LENGTH else f"{line[:_MAX_MESSAGE_LENGTH]}…"
