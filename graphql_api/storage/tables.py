"""The SQL tables of this version. Migrations create them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, DateTime, Dialect, Double, Integer, MetaData, String, Table, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine

from graphql_api.domain.country import FIELDS, FieldInfo, FieldKind


class UtcDateTime(TypeDecorator[datetime]):
    """An instant with microseconds, stored in UTC without a time zone."""

    # The default DATETIME of MySQL drops fractions of a second.
    impl = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert an aware datetime to naive UTC."""
        del dialect
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert naive UTC to an aware datetime."""
        del dialect
        return None if value is None else value.replace(tzinfo=UTC)


metadata = MetaData()

_OPTIONS: Mapping[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
"""All of Unicode and binary comparison on MySQL, whatever the defaults of the server."""

_COLUMN_TYPES: Mapping[FieldKind, TypeEngine[Any]] = {
    FieldKind.INT: Integer(),
    FieldKind.FLOAT: Double(),
    FieldKind.INSTANT: UtcDateTime(),
}


def _country_column(name: str, field: FieldInfo) -> Column[Any]:
    column_type = _COLUMN_TYPES.get(field.kind) or String(field.max_length)
    return Column(name, column_type, primary_key=name == "code", nullable=field.nullable)


countries = Table("countries", metadata, *(_country_column(*item) for item in FIELDS.items()), **_OPTIONS)
"""One row per country."""

refreshes = Table(
    "refreshes",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("finished_at", UtcDateTime, nullable=False),
    Column("outcome", String(50), nullable=False),
    # TEXT of MySQL ends at 64 kB.
    Column("attempt", Text().with_variant(mysql.MEDIUMTEXT(), "mysql"), nullable=False),
    **_OPTIONS,
)
"""One row per refresh. `outcome` is "SUCCEEDED" or an error code, `attempt` the report as JSON."""

answers = Table(
    "answers",
    metadata,
    Column("kind", String(20), primary_key=True),
    Column("answer", Text().with_variant(mysql.MEDIUMTEXT(), "mysql"), nullable=False),
    **_OPTIONS,
)
"""The provider cache: one row per kind of source, with the last data of its provider as JSON."""

leases = Table(
    "leases",
    metadata,
    Column("name", String(50), primary_key=True),
    Column("holder", String(50)),
    Column("refresh_id", String(36)),
    Column("taken_at", Double),
    Column("expires_at", Double, nullable=False),
    Column("revision", Integer, nullable=False),
    **_OPTIONS,
)
"""One row, "refresh": the process and refresh that hold the lease, from when until when (seconds
since 1970 by the database's clock), and the revision of its rows, higher with each lease."""
