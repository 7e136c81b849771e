"""What differs between the databases: one module each, behind one protocol."""

from functools import cache

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.storage.dialects.base import Dialect
from graphql_api.storage.url import DatabaseKind


@cache
def get_dialect(kind: DatabaseKind) -> Dialect:
    """Return the dialect of a kind of database.

    A process uses one, and importing the drivers of all takes as long as everything else here.
    """
    match kind:
        case DatabaseKind.SQLITE:
            from graphql_api.storage.dialects.sqlite import SQLite  # noqa: PLC0415 - see above

            return SQLite()
        case DatabaseKind.MYSQL:
            from graphql_api.storage.dialects.mysql import MySQL  # noqa: PLC0415 - see above

            return MySQL()
        case DatabaseKind.POSTGRESQL:
            from graphql_api.storage.dialects.postgresql import PostgreSQL  # noqa: PLC0415 - see above

            return PostgreSQL()


def get_connection_dialect(connection: AsyncConnection) -> Dialect:
    """Return the dialect that a connection speaks."""
    return get_dialect(DatabaseKind(connection.dialect.name))
