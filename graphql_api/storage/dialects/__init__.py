"""The dialects of the supported databases, one module each."""

from functools import cache

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.storage.dialects.base import Dialect
from graphql_api.storage.url import DatabaseKind
from graphql_api.utils.imports import deferred_imports

_RSA_MODULES = (
    "cryptography.hazmat.primitives.hashes",
    "cryptography.hazmat.primitives.serialization",
    "cryptography.hazmat.primitives.asymmetric.padding",
)
"""With these, asyncmy encrypts passwords on connections without TLS. They take 7 MB."""


@cache
def get_dialect(kind: DatabaseKind) -> Dialect:
    """Return the dialect of a kind of database.

    Imports only that one: the drivers of all take as long to import as the rest of the program.
    """
    match kind:
        case DatabaseKind.SQLITE:
            from graphql_api.storage.dialects.sqlite import SQLite  # noqa: PLC0415 - imports a driver that others do not need

            return SQLite()
        case DatabaseKind.MYSQL:
            with deferred_imports(*_RSA_MODULES):
                from graphql_api.storage.dialects.mysql import MySQL  # noqa: PLC0415 - imports a driver that others do not need

            return MySQL()
        case DatabaseKind.POSTGRESQL:
            from graphql_api.storage.dialects.postgresql import PostgreSQL  # noqa: PLC0415 - imports a driver that others do not need

            return PostgreSQL()


def get_connection_dialect(connection: AsyncConnection) -> Dialect:
    """Return the dialect of the database behind a connection."""
    return get_dialect(DatabaseKind(connection.dialect.name))
