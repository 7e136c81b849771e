"""MySQL 8: its authentication and its statements, tested without an installation."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import cycle

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from graphql_api.errors import DatabaseUnavailable
from graphql_api.storage import lease, refreshes
from graphql_api.storage.migrations import migrate
from tests.support.attempts import REPORT
from tests.support.database import open_database
from tests.support.db_servers.mariadb import MariaDB

PASSWORD = "p@ss word"
SALT = b"12345678abcdefghijkl"
GREETING = (
    b"\x0a8.4.0\x00\x01\x00\x00\x00"  # protocol, server version, and connection id
    + SALT[:8]
    + b"\x00\x08\x82\xff\x02\x00\x08\x00\x15"  # capabilities: a database, an authentication plugin
    + bytes(10)
    + SALT[8:]
    + b"\x00caching_sha2_password\x00"
)
REFUSAL = b"\xff\x15\x04#28000" + b"Access denied for everybody"


@asynccontextmanager
async def fake_mysql_8(key: rsa.RSAPrivateKey, passwords: list[str]) -> AsyncIterator[int]:
    """Lend the port of a server that authenticates like MySQL 8 and records the password."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def send(number: int, packet: bytes) -> None:
            writer.write(len(packet).to_bytes(3, "little") + bytes([number]) + packet)

        async def receive() -> bytes:
            length = int.from_bytes((await reader.readexactly(4))[:3], "little")
            return await reader.readexactly(length)

        send(0, GREETING)
        await receive()
        send(2, b"\x01\x04")  # not cached yet: requires full authentication
        assert await receive() == b"\x02"  # the client requests the server's public key
        public = serialization.PublicFormat.SubjectPublicKeyInfo
        pem = key.public_key().public_bytes(serialization.Encoding.PEM, public)
        send(4, b"\x01" + pem)
        oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303 - MySQL's
        scrambled = key.decrypt(await receive(), oaep)
        passwords.append(bytes(a ^ b for a, b in zip(scrambled, cycle(SALT), strict=False)).decode())
        send(6, REFUSAL)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_password_without_tls() -> None:
    """A password that MySQL 8 has not cached is sent encrypted with the server's key."""
    passwords: list[str] = []
    key = rsa.generate_private_key(65537, 2048)
    async with fake_mysql_8(key, passwords) as port:
        url = f"mysql://tester:p%40ss%20word@127.0.0.1:{port}/countries"
        async with open_database(url) as database:
            with pytest.raises(DatabaseUnavailable, match="Access denied for everybody"):
                await migrate(database)
    assert passwords == [f"{PASSWORD}\0"]


async def test_nothing_returned(mariadb: MariaDB) -> None:
    """No statement uses RETURNING, which MariaDB has and MySQL lacks."""
    name = mariadb.create_database()
    async with open_database(mariadb.url(name)) as database:
        await migrate(database)  # by Alembic, which uses it where the server has it
        count_before = len(mariadb.queries(name))
        async with database.connect() as connection:
            await lease.acquire(connection, holder="me", refresh_id="report", ttl=60)
            await refreshes.append(connection, REPORT)
            await lease.release(connection, refresh_id="report")
    executed = mariadb.queries(name)[count_before:]
    assert [text.split("(")[0] for text in executed if text.startswith("INSERT")] == ["INSERT INTO refreshes "]
    assert [text for text in executed if "RETURNING" in text.upper()] == []
