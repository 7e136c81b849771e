"""The certificates of tests: databases show them, and only the good one is accepted."""

import ssl
from collections.abc import Callable

import pytest
from asyncmy.errors import OperationalError

from tests.servers.clients import asking_mariadb, asking_postgresql
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.tls import Certificates

BAD = {
    "elsewhere": "IP address mismatch, certificate is not valid for '127.0.0.1'",
    "expired": "certificate has expired",
    "stranger": "unable to get local issuer certificate",
}


async def test_mariadb_shows_a_certificate(
    new_mariadb: Callable[..., MariaDB], certificates: Certificates
) -> None:
    """A client that verifies is let in over TLS."""
    with new_mariadb(tls=certificates.good) as server:
        context = ssl.create_default_context(cafile=certificates.authority)
        async with asking_mariadb(server.url(""), ssl=context) as ask:
            ((_, cipher),) = await ask("SHOW STATUS LIKE 'Ssl_cipher'")
            assert cipher.startswith("TLS_")


async def test_mariadb_speaks_no_tls_without_one(mariadb: MariaDB) -> None:
    """Without a certificate the server has no TLS to offer."""
    context = ssl.create_default_context()
    with pytest.raises(OperationalError, match="SSL"):
        async with asking_mariadb(mariadb.url(""), ssl=context):
            pass
    assert mariadb.execute("SELECT @@have_ssl") == "DISABLED"


async def test_postgresql_shows_a_certificate(
    new_postgresql: Callable[..., PostgreSQL], certificates: Certificates
) -> None:
    """A client that verifies is let in over TLS."""
    with new_postgresql(tls=certificates.good) as server:
        context = ssl.create_default_context(cafile=certificates.authority)
        async with asking_postgresql(server.url("postgres"), ssl=context) as ask:
            asked = "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            assert await ask(asked) == [(True, "TLSv1.3")]


async def test_postgresql_speaks_no_tls_without_one(postgresql: PostgreSQL) -> None:
    """Without a certificate the server has no TLS to offer."""
    context = ssl.create_default_context()
    with pytest.raises(ConnectionError, match="rejected SSL upgrade"):
        async with asking_postgresql(postgresql.url("postgres"), ssl=context):
            pass


@pytest.mark.parametrize("kind", BAD)
async def test_the_bad_are_refused_of_mariadb(
    new_mariadb: Callable[..., MariaDB], certificates: Certificates, kind: str
) -> None:
    """A client that verifies refuses each bad certificate for its own reason."""
    context = ssl.create_default_context(cafile=certificates.authority)
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    with new_mariadb(tls=getattr(certificates, kind)) as server:
        with pytest.raises(OperationalError, match=BAD[kind]):
            async with asking_mariadb(server.url(""), ssl=context):
                pass
        async with asking_mariadb(server.url(""), ssl=unverified) as ask:
            assert await ask("SELECT 1") == [(1,)]


@pytest.mark.parametrize("kind", BAD)
async def test_the_bad_are_refused_of_postgresql(
    new_postgresql: Callable[..., PostgreSQL], certificates: Certificates, kind: str
) -> None:
    """A client that verifies refuses each bad certificate for its own reason."""
    context = ssl.create_default_context(cafile=certificates.authority)
    with new_postgresql(tls=getattr(certificates, kind)) as server:
        with pytest.raises(ssl.SSLCertVerificationError, match=BAD[kind]):
            async with asking_postgresql(server.url("postgres"), ssl=context):
                pass
        async with asking_postgresql(server.url("postgres"), ssl="require") as ask:
            assert await ask("SELECT 1") == [(1,)]
