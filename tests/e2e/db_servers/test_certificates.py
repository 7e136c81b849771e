"""The certificates of tests: databases show them, and only the good one is accepted."""

import ssl
from collections.abc import Callable

import pytest
from asyncmy.errors import OperationalError

from tests.support.certificates import Certificates
from tests.support.db_servers.driver_clients import mariadb_client, postgresql_client
from tests.support.db_servers.mariadb import MariaDB
from tests.support.db_servers.postgresql import PostgreSQL

EXPECTED_ERRORS = {
    "wrong_host": "IP address mismatch, certificate is not valid for '127.0.0.1'",
    "expired": "certificate has expired",
    "untrusted": "unable to get local issuer certificate",
}


async def test_mariadb_shows_a_certificate(
    new_mariadb: Callable[..., MariaDB], certificates: Certificates
) -> None:
    """A client that verifies is let in over TLS."""
    with new_mariadb(tls=certificates.good) as server:
        context = ssl.create_default_context(cafile=certificates.authority)
        async with mariadb_client(server.url(""), ssl=context) as execute:
            ((_, cipher),) = await execute("SHOW STATUS LIKE 'Ssl_cipher'")
            assert cipher.startswith("TLS_")


async def test_mariadb_speaks_no_tls_without_one(mariadb: MariaDB) -> None:
    """Without a certificate the server has no TLS to offer."""
    context = ssl.create_default_context()
    with pytest.raises(OperationalError, match="SSL"):
        async with mariadb_client(mariadb.url(""), ssl=context):
            pass
    assert mariadb.execute("SELECT @@have_ssl") == "DISABLED"


async def test_postgresql_shows_a_certificate(
    new_postgresql: Callable[..., PostgreSQL], certificates: Certificates
) -> None:
    """A client that verifies is let in over TLS."""
    with new_postgresql(tls=certificates.good) as server:
        context = ssl.create_default_context(cafile=certificates.authority)
        async with postgresql_client(server.url("postgres"), ssl=context) as execute:
            query = "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            assert await execute(query) == [(True, "TLSv1.3")]


async def test_postgresql_speaks_no_tls_without_one(postgresql: PostgreSQL) -> None:
    """Without a certificate the server has no TLS to offer."""
    context = ssl.create_default_context()
    with pytest.raises(ConnectionError, match="rejected SSL upgrade"):
        async with postgresql_client(postgresql.url("postgres"), ssl=context):
            pass


@pytest.mark.parametrize("kind", EXPECTED_ERRORS)
async def test_the_bad_are_refused_of_mariadb(
    new_mariadb: Callable[..., MariaDB], certificates: Certificates, kind: str
) -> None:
    """A client that verifies refuses each bad certificate for its own reason."""
    context = ssl.create_default_context(cafile=certificates.authority)
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    with new_mariadb(tls=getattr(certificates, kind)) as server:
        with pytest.raises(OperationalError, match=EXPECTED_ERRORS[kind]):
            async with mariadb_client(server.url(""), ssl=context):
                pass
        async with mariadb_client(server.url(""), ssl=unverified) as execute:
            assert await execute("SELECT 1") == [(1,)]


@pytest.mark.parametrize("kind", EXPECTED_ERRORS)
async def test_the_bad_are_refused_of_postgresql(
    new_postgresql: Callable[..., PostgreSQL], certificates: Certificates, kind: str
) -> None:
    """A client that verifies refuses each bad certificate for its own reason."""
    context = ssl.create_default_context(cafile=certificates.authority)
    with new_postgresql(tls=getattr(certificates, kind)) as server:
        with pytest.raises(ssl.SSLCertVerificationError, match=EXPECTED_ERRORS[kind]):
            async with postgresql_client(server.url("postgres"), ssl=context):
                pass
        async with postgresql_client(server.url("postgres"), ssl="require") as execute:
            assert await execute("SELECT 1") == [(1,)]
