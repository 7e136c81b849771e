"""Certificates of tests: database servers present them, and clients accept only the good one."""

import ssl
from collections.abc import Callable

import pytest
from asyncmy.errors import OperationalError

from tests.support.certificates import Certificates
from tests.support.db_servers.driver_clients import mysql_client, postgresql_client
from tests.support.db_servers.mysql_family import MySQLFamilyServer
from tests.support.db_servers.postgresql import PostgreSQL

EXPECTED_ERRORS = {
    "wrong_host": "IP address mismatch, certificate is not valid for '127.0.0.1'",
    "expired": "certificate has expired",
    "untrusted": "unable to get local issuer certificate",
}


async def test_mysql_family_good_certificate(
    new_mysql_family: Callable[..., MySQLFamilyServer], certificates: Certificates
) -> None:
    """A client that verifies the certificate connects over TLS."""
    with new_mysql_family(tls=certificates.good) as server:
        context = ssl.create_default_context(cafile=certificates.authority)
        async with mysql_client(server.url(""), ssl=context) as execute:
            ((_, cipher),) = await execute("SHOW STATUS LIKE 'Ssl_cipher'")
            assert cipher.startswith("TLS_")


async def test_mysql_family_without_certificate(mysql_family: MySQLFamilyServer) -> None:
    """Without a certificate the server refuses TLS."""
    context = ssl.create_default_context()
    with pytest.raises(OperationalError, match="SSL"):
        async with mysql_client(mysql_family.url(""), ssl=context):
            pass


async def test_postgresql_good_certificate(
    new_postgresql: Callable[..., PostgreSQL], certificates: Certificates
) -> None:
    """A client that verifies the certificate connects over TLS."""
    with new_postgresql(tls=certificates.good) as server:
        context = ssl.create_default_context(cafile=certificates.authority)
        async with postgresql_client(server.url("postgres"), ssl=context) as execute:
            query = "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            assert await execute(query) == [(True, "TLSv1.3")]


async def test_postgresql_without_certificate(postgresql: PostgreSQL) -> None:
    """Without a certificate the server refuses TLS."""
    context = ssl.create_default_context()
    with pytest.raises(ConnectionError, match="rejected SSL upgrade"):
        async with postgresql_client(postgresql.url("postgres"), ssl=context):
            pass


@pytest.mark.parametrize("kind", EXPECTED_ERRORS)
async def test_mysql_family_bad_certificate(
    new_mysql_family: Callable[..., MySQLFamilyServer], certificates: Certificates, kind: str
) -> None:
    """A client that verifies rejects each bad certificate with its own error."""
    context = ssl.create_default_context(cafile=certificates.authority)
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    with new_mysql_family(tls=getattr(certificates, kind)) as server:
        with pytest.raises(OperationalError, match=EXPECTED_ERRORS[kind]):
            async with mysql_client(server.url(""), ssl=context):
                pass
        async with mysql_client(server.url(""), ssl=unverified) as execute:
            assert await execute("SELECT 1") == [(1,)]


@pytest.mark.parametrize("kind", EXPECTED_ERRORS)
async def test_postgresql_bad_certificate(
    new_postgresql: Callable[..., PostgreSQL], certificates: Certificates, kind: str
) -> None:
    """A client that verifies rejects each bad certificate with its own error."""
    context = ssl.create_default_context(cafile=certificates.authority)
    with new_postgresql(tls=getattr(certificates, kind)) as server:
        with pytest.raises(ssl.SSLCertVerificationError, match=EXPECTED_ERRORS[kind]):
            async with postgresql_client(server.url("postgres"), ssl=context):
                pass
        async with postgresql_client(server.url("postgres"), ssl="require") as execute:
            assert await execute("SELECT 1") == [(1,)]
