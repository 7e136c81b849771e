"""Certificates that are trusted: those of SSL_CERT_FILE or SSL_CERT_DIR, or else the ones that certifi bundles."""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path

import certifi

from graphql_api.sources.provider import ProviderError

_FILE_VARIABLE, _FOLDERS_VARIABLE, _KEY_LOG_VARIABLE = "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"


def find_trust_variable(environ: Mapping[str, str]) -> str | None:
    """Return the environment variable that names the trusted certificates; None if certifi's are trusted."""
    return next((name for name in (_FILE_VARIABLE, _FOLDERS_VARIABLE) if environ.get(name)), None)


def create_ssl_context(environ: Mapping[str, str]) -> ssl.SSLContext:
    """Return a context that verifies servers' certificates and names.

    Raises:
        ProviderError: what a variable names cannot be used. The message has the variable, not its value.
    """
    variable = find_trust_variable(environ)
    try:
        # OpenSSL reads devices without end, and ignores folders that do not exist.
        if variable == _FILE_VARIABLE and not Path(environ[variable]).is_file():
            raise ProviderError(f"{variable} does not name a file")
        if variable == _FOLDERS_VARIABLE and not any(map(os.path.isdir, environ[variable].split(os.pathsep))):
            raise ProviderError(f"{variable} does not name a folder")
        if variable == _FOLDERS_VARIABLE:
            return ssl.create_default_context(capath=environ[variable])
        return ssl.create_default_context(cafile=environ[variable] if variable else certifi.where())
    except ssl.SSLError:
        raise ProviderError(f"the file that {variable} names contains no certificate in PEM format") from None
    except OSError as error:
        is_key_log = error.filename is not None and error.filename == environ.get(_KEY_LOG_VARIABLE)
        name = _KEY_LOG_VARIABLE if is_key_log else variable
        raise ProviderError(f"the file that {name} names cannot be used: {error.strerror}") from None
