"""TLS to the database: the server is verified, and errors name the setting to change."""

import asyncio
import base64
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from graphql_api.errors import DatabaseUnavailable, InvalidSetting
from graphql_api.storage.tls import create_context
from graphql_api.storage.url import TLSMode
from tests.support.certificates import Certificates
from tests.support.database import SERVERS, open_database
from tests.support.db_servers.mariadb import MariaDB
from tests.support.db_servers.mysql import OWN_CERTIFICATE, MySQL
from tests.support.db_servers.postgresql import PostgreSQL
from tests.support.db_servers.process import DatabaseServer
from tests.support.wait import WAIT_TIMEOUT

Server = DatabaseServer
ServerStarter = Callable[[str], Server]
"""Returns the server with the certificate of that name."""

REQUIRED = "?ssl-mode=REQUIRED"
VERIFY_CA = "?ssl-mode=VERIFY_CA"

SET_AUTHORITY = "; set DATABASE_SSL_CA to the CA certificate that your provider shows"
UNKNOWN = f"certificate verify failed, unable to get local issuer certificate{SET_AUTHORITY}"
EXPIRED = (
    "certificate verify failed, certificate has expired; renew it on the server, or check the clock of this machine"
)
ELSEWHERE = (
    "certificate verify failed, IP address mismatch, certificate is not valid for '127.0.0.1'; "
    "write the host in DATABASE_URL as your provider shows it, or ssl-mode=VERIFY_CA to trust "
    "every server of that authority"
)
NO_TLS = (
    "the server does not support TLS; enable it there, or, on a private network, write "
    "ssl-mode=DISABLED in DATABASE_URL"
)
DENIED = {
    MariaDB: (
        "Access denied for user 'tester'@'127.0.0.1' (using password: YES) (1045); check user, "
        "password and database in DATABASE_URL, and add ?ssl-mode=REQUIRED if the server requires "
        "TLS"
    ),
    MySQL: (
        "Connections using insecure transport are prohibited while --require_secure_transport=ON. (3159); add "
        "?ssl-mode=REQUIRED to DATABASE_URL"
    ),
    PostgreSQL: (
        'no pg_hba.conf entry for host "127.0.0.1", user "tester", database "test_1", '
        "no encryption; add ?sslmode=require to DATABASE_URL"
    ),
}
CIPHER = {
    MariaDB: (
        "SELECT variable_value AS cipher FROM information_schema.session_status WHERE variable_name = 'SSL_CIPHER'"
    ),
    MySQL: "SELECT variable_value AS cipher FROM performance_schema.session_status WHERE variable_name = 'Ssl_cipher'",
    PostgreSQL: "SELECT cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
}


async def fetch_cipher(server: Server, options: str, authority: Path | str | None = None) -> str | None:
    """Open the shared database of a server, and return the cipher."""
    ssl_ca = None if authority is None else str(authority)
    async with (
        asyncio.timeout(WAIT_TIMEOUT),
        open_database(server.url("test_1") + options, ssl_ca=ssl_ca) as database,
        database.connect() as connection,
    ):
        row = (await connection.exec_driver_sql(CIPHER[type(server)])).one()
        return str(row.cipher) if row.cipher else None


async def connection_failure(server: Server, options: str, authority: Path | None = None) -> str:
    """Return the reason of a failed opening, without the URL."""
    with pytest.raises(DatabaseUnavailable) as exc_info:
        await fetch_cipher(server, options, authority)
    prefix, reason = str(exc_info.value).split(" failed: ")
    scheme = server.scheme
    assert prefix == f"The database at {scheme}://tester:***@127.0.0.1:{server.port}/test_1"
    assert exc_info.value.permanent is True
    return reason.removesuffix(".")


@pytest.fixture(scope="module", params=SERVERS)
def start_server(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[ServerStarter]:
    """Return a function that starts servers, of each kind in turn, once per certificate."""
    make_server: Callable[..., Server] = request.getfixturevalue(f"new_{request.param}")
    servers: dict[str, Server] = {}
    with ExitStack() as stack:

        def start(name: str) -> Server:
            if name not in servers:
                servers[name] = make_server(tls=getattr(certificates, name, None))
                stack.enter_context(servers[name])
                servers[name].create_database()
            return servers[name]

        yield start


async def test_right_certificate(start_server: ServerStarter, certificates: Certificates) -> None:
    """A server with a certificate of DATABASE_SSL_CA is used over TLS."""
    server = start_server("good")
    assert str(await fetch_cipher(server, REQUIRED, certificates.authority)).startswith("TLS_")
    assert str(await fetch_cipher(server, "", certificates.authority)).startswith("TLS_")
    assert str(await fetch_cipher(server, VERIFY_CA, certificates.authority)).startswith("TLS_")
    encoded = base64.b64encode(certificates.authority.read_bytes()).decode()
    assert str(await fetch_cipher(server, REQUIRED, encoded)).startswith("TLS_")


async def test_unprotected(start_server: ServerStarter) -> None:
    """Without a TLS option in the URL there is no TLS, even if the server supports it."""
    assert await fetch_cipher(start_server("good"), "") is None


async def test_system_authorities(start_server: ServerStarter) -> None:
    """Without DATABASE_SSL_CA, the certificate must be of an authority of the system."""
    assert await connection_failure(start_server("good"), REQUIRED) == UNKNOWN
    assert await connection_failure(start_server("good"), VERIFY_CA) == UNKNOWN


async def test_stranger(start_server: ServerStarter, tmp_path: Path) -> None:
    """A certificate of another authority than DATABASE_SSL_CA is rejected."""
    path = tmp_path / "other.pem"
    trustme.CA(organization_name="Other").cert_pem.write_to_path(path)
    assert await connection_failure(start_server("good"), REQUIRED, path) == UNKNOWN
    assert await connection_failure(start_server("good"), VERIFY_CA, path) == UNKNOWN


async def test_expired(start_server: ServerStarter, certificates: Certificates) -> None:
    """An expired certificate is rejected."""
    assert await connection_failure(start_server("expired"), REQUIRED, certificates.authority) == EXPIRED
    assert await connection_failure(start_server("expired"), VERIFY_CA, certificates.authority) == EXPIRED


async def test_other_host(start_server: ServerStarter, certificates: Certificates) -> None:
    """A certificate for another host is rejected, except with VERIFY_CA."""
    server = start_server("wrong_host")
    assert await connection_failure(server, REQUIRED, certificates.authority) == ELSEWHERE
    assert str(await fetch_cipher(server, VERIFY_CA, certificates.authority)).startswith("TLS_")


async def test_server_without_tls(start_server: ServerStarter, certificates: Certificates) -> None:
    """A server without TLS is never used if TLS is required."""
    for options, authority in ((REQUIRED, None), (VERIFY_CA, None), ("", certificates.authority)):
        assert await connection_failure(start_server("none"), options, authority) == NO_TLS
    assert await fetch_cipher(start_server("none"), "?ssl-mode=DISABLED") is None


@pytest.fixture(params=SERVERS)
def tls_only_server(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[Server]:
    """Lend a server that rejects connections without TLS."""
    make_server: Callable[..., Server] = request.getfixturevalue(f"new_{request.param}")
    arguments = [] if request.param == "postgresql" else ["--require-secure-transport=ON"]
    with make_server(*arguments, tls=certificates.good) as server:
        server.create_database()
        if isinstance(server, PostgreSQL):
            rules = "local all all trust\nhostssl all all all scram-sha-256\n"
            (server._data_folder / "pg_hba.conf").write_text(rules, "ascii")
            server.stop()
            server.start()
        yield server


async def test_server_that_demands_tls(tls_only_server: Server, certificates: Certificates) -> None:
    """A server that requires TLS rejects a URL without it, and the error says so."""
    assert await connection_failure(tls_only_server, "") == DENIED[type(tls_only_server)]
    assert str(await fetch_cipher(tls_only_server, REQUIRED, certificates.authority)).startswith("TLS_")


@pytest.fixture(scope="module")
def new_user_server(new_mysql: Callable[..., MySQL]) -> Iterator[MySQL]:
    """Lend a MySQL that generated its certificate and RSA key."""
    with new_mysql(OWN_CERTIFICATE) as server:
        server.create_database()
        yield server


@pytest.mark.slow
async def test_password_that_mysql_has_not_cached(new_user_server: MySQL) -> None:
    """MySQL's caching_sha2_password takes it over TLS, and without TLS encrypted with the server's RSA key."""
    authority = new_user_server.own_authority
    for options, ssl_ca in ((VERIFY_CA, authority), ("", None)):
        new_user_server.execute("FLUSH PRIVILEGES")  # empties the cache of passwords
        assert bool(await fetch_cipher(new_user_server, options, ssl_ca)) == (ssl_ca is not None)
    assert (
        await connection_failure(new_user_server, VERIFY_CA)
        == f"certificate verify failed, self-signed certificate in certificate chain{SET_AUTHORITY}"
    )


def authority_pem(certificates: Certificates) -> str:
    """Return the certificate authority as text."""
    return certificates.authority.read_text("ascii")


def authority_der(certificates: Certificates) -> bytes:
    """Return the certificate authority in DER."""
    return ssl.PEM_cert_to_DER_cert(authority_pem(certificates))


AUTHORITY_FORMATS: dict[str, Callable[[Certificates], str]] = {
    "path": lambda certificates: str(certificates.authority),
    "PEM": authority_pem,
    "PEM between spaces": lambda certificates: f"\n {authority_pem(certificates)} ",
    "PEM on one line": lambda certificates: authority_pem(certificates).replace("\n", "\\n"),
    "PEM with words before": lambda certificates: f"Autorité:\n{authority_pem(certificates)}",
    "several in PEM": lambda certificates: (
        authority_pem(certificates) + certificates.untrusted.chain.read_text("ascii")
    ),
    "base64 of PEM": lambda certificates: base64.b64encode(authority_pem(certificates).encode()).decode(),
    "base64 of DER": lambda certificates: base64.b64encode(authority_der(certificates)).decode(),
    "base64 in lines": lambda certificates: base64.encodebytes(authority_der(certificates)).decode(),
}


@pytest.mark.parametrize("authority_format", AUTHORITY_FORMATS)
def test_authority(authority_format: str, certificates: Certificates) -> None:
    """DATABASE_SSL_CA accepts every form that providers show, and is trusted alone."""
    context = create_context(TLSMode.VERIFY_FULL, AUTHORITY_FORMATS[authority_format](certificates))
    expected = trusted_authorities(create_context(TLSMode.VERIFY_FULL, str(certificates.authority)))
    assert len(expected) == 1
    assert trusted_authorities(context)[0:1] == expected
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def trusted_authorities(context: ssl.SSLContext) -> list[object]:
    """Return the certificate authorities that a context trusts."""
    return [authority["serialNumber"] for authority in context.get_ca_certs()]


def test_authority_in_a_file_of_der(certificates: Certificates, tmp_path: Path) -> None:
    """A file can be in DER too."""
    path = tmp_path / "ca.der"
    path.write_bytes(authority_der(certificates))
    expected = trusted_authorities(create_context(TLSMode.VERIFY_FULL, str(certificates.authority)))
    assert trusted_authorities(create_context(TLSMode.VERIFY_FULL, str(path))) == expected


def test_chain_alone() -> None:
    """VERIFY_CA still verifies the certificate."""
    context = create_context(TLSMode.VERIFY_CA, None)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, False)


ADVICE = "give the path of a CA certificate in PEM, or its content in base64."


@pytest.mark.parametrize(
    ("authority", "reason"),
    [
        ("", "is empty"),
        (" ", "is empty"),
        ("nowhere/ca.pem", "cannot be read (No such file or directory)"),
        ("Y2E=", "cannot be read (No such file or directory)"),
        ("/", "cannot be read (Is a directory)"),
        ("\0", "cannot be read (not a path)"),
        ("ca-" * 2000, "cannot be read (File name too long)"),
        (__file__, "holds no certificate"),
        ("x" * 5000, "holds no certificate"),
        ("/dev/null", "holds no certificate"),
        (base64.b64encode(b"x" * 1000).decode(), "holds no certificate"),
        (base64.b64encode(b"-----BEGIN CERTIFICATE-----\xff" * 9).decode(), "holds no certificate"),
        ("-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----", "holds no certificate"),
        ("-----BEGIN CERTIFICATE-----é", "holds no certificate"),
    ],
)
def test_no_authority(authority: str, reason: str) -> None:
    """Anything but a certificate is rejected at once, with a fix and without its content."""
    with pytest.raises(InvalidSetting) as exc_info:
        create_context(TLSMode.VERIFY_FULL, authority)
    assert str(exc_info.value) == f"DATABASE_SSL_CA {reason}; {ADVICE}"


def test_key_log_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key log in a folder that does not exist is rejected by the name of its variable."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "missing" / "keys"))
    with pytest.raises(InvalidSetting) as exc_info:
        create_context(TLSMode.VERIFY_FULL, None)
    assert str(exc_info.value) == "SSLKEYLOGFILE names a file that cannot be written (No such file or directory)."
