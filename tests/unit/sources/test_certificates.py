"""Trusted certificates: the environment's, and the errors of files that cannot be used."""

import os
from collections.abc import Callable
from pathlib import Path

import certifi
import pytest

from graphql_api.sources.certificates import create_ssl_context
from graphql_api.sources.provider import ProviderError
from tests.support.certificates import Certificates


@pytest.fixture(autouse=True)
def _no_key_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the key log of the person who runs the tests: Python's ssl module reads it itself."""
    monkeypatch.delenv("SSLKEYLOGFILE", raising=False)


def count_authorities(**environ: str) -> int:
    """Return how many certificates a context trusts from the start."""
    return create_ssl_context(environ).cert_store_stats()["x509_ca"]


def test_default() -> None:
    """Without variables, or with empty ones, certifi's certificates are trusted."""
    expected = Path(certifi.where()).read_text("ascii").count("BEGIN CERTIFICATE")
    assert count_authorities() == count_authorities(SSL_CERT_FILE="", SSL_CERT_DIR="") == expected


def test_environment(certificates: Certificates, tmp_path: Path) -> None:
    """SSL_CERT_FILE takes precedence over SSL_CERT_DIR, of which one folder has to exist."""
    assert count_authorities(SSL_CERT_FILE=str(certificates.authority), SSL_CERT_DIR="nowhere") == 1
    assert count_authorities(SSL_CERT_DIR=f"nowhere{os.pathsep}{tmp_path}") == 0


def write_file(content: bytes) -> Callable[[Path], str]:
    """Return a function that writes a file into a folder, and returns its path."""

    def write(folder: Path) -> str:
        (folder / "file").write_bytes(content)
        return str(folder / "file")

    return write


NO_FILE = "SSL_CERT_FILE does not name a file"
NO_FOLDER = "SSL_CERT_DIR does not name a folder"
NO_PEM = "the file that SSL_CERT_FILE names contains no certificate in PEM format"


@pytest.mark.parametrize(
    ("variable", "make_value", "message"),
    [
        ("SSL_CERT_FILE", lambda folder: str(folder / "missing"), NO_FILE),
        ("SSL_CERT_FILE", str, NO_FILE),
        ("SSL_CERT_FILE", lambda _: "/dev/zero", NO_FILE),
        ("SSL_CERT_FILE", lambda _: "x" * 5000, "the file that SSL_CERT_FILE names cannot be used: File name too long"),
        ("SSL_CERT_FILE", write_file(b""), NO_PEM),
        ("SSL_CERT_FILE", write_file(b"\x00\xffjunk"), NO_PEM),
        ("SSL_CERT_FILE", write_file(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), NO_PEM),
        ("SSL_CERT_DIR", lambda folder: str(folder / "missing"), NO_FOLDER),
        ("SSL_CERT_DIR", write_file(b""), NO_FOLDER),
        ("SSL_CERT_DIR", lambda _: "x" * 5000, NO_FOLDER),
    ],
)
def test_unusable(tmp_path: Path, variable: str, make_value: Callable[[Path], str], message: str) -> None:
    """A path that cannot be used is an error that names the variable, not its value."""
    with pytest.raises(ProviderError) as exc_info:
        create_ssl_context({variable: make_value(tmp_path)})
    assert str(exc_info.value) == message


def test_key_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key log that cannot be written is an error that names its variable."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "missing" / "keys"))
    with pytest.raises(ProviderError) as exc_info:
        create_ssl_context(os.environ)
    assert str(exc_info.value) == "the file that SSLKEYLOGFILE names cannot be used: No such file or directory"
