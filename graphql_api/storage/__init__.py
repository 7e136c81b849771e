"""The database. Only this package uses SQL."""

from graphql_api.utils.imports import leave_out

leave_out("sqlalchemy.ext.asyncio.session", "sqlalchemy.ext.asyncio.scoping")  # with the whole ORM: 8 MB
