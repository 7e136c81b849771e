"""Create the tables `countries` and `refreshes`."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None

_INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
_LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql")
_OPTIONS = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    """Create both tables. Types are spelled out, as those of the code may change later."""
    op.create_table(
        "countries",
        sa.Column("code", sa.String(2), primary_key=True),
        sa.Column("alpha3", sa.String(3), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("capital", sa.String(200)),
        sa.Column("region", sa.String(200)),
        sa.Column("subregion", sa.String(200)),
        sa.Column("population", sa.Integer, nullable=False),
        sa.Column("area_km2", sa.Double),
        sa.Column("currency_code", sa.String(3)),
        sa.Column("exchange_rate", sa.Double),
        sa.Column("estimated_gdp", sa.Double),
        sa.Column("flag_url", sa.String(200)),
        sa.Column("last_refreshed_at", _INSTANT, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("countries_provider", sa.String(50), nullable=False),
        sa.Column("countries_as_of", _INSTANT),
        sa.Column("rates_provider", sa.String(50)),
        sa.Column("rates_as_of", _INSTANT),
        if_not_exists=True,  # MySQL commits each table by itself and may have been interrupted
        **_OPTIONS,
    )
    op.create_table(
        "refreshes",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(36), nullable=False, unique=True),
        sa.Column("finished_at", _INSTANT, nullable=False),
        sa.Column("outcome", sa.String(50), nullable=False),
        sa.Column("attempt", _LONG_TEXT, nullable=False),
        if_not_exists=True,
        **_OPTIONS,
    )
