"""What differs between the databases: one module each, behind one protocol."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.storage.address import System
from graphql_api.storage.dialects.dialect import Dialect
from graphql_api.storage.dialects.mysql import MySQL
from graphql_api.storage.dialects.postgresql import PostgreSQL
from graphql_api.storage.dialects.sqlite import SQLite

DIALECTS: Mapping[System, Dialect] = {
    System.SQLITE: SQLite(),
    System.MYSQL: MySQL(),
    System.POSTGRESQL: PostgreSQL(),
}


def dialect_of(connection: AsyncConnection) -> Dialect:
    """Return the dialect that a connection speaks."""
    return DIALECTS[System(connection.dialect.name)]
