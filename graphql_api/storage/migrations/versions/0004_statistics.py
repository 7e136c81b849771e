"""Add the statistics to `countries`, and remove dates that are not those of the figures."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"

_INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")


def upgrade() -> None:
    """Add the columns, all null: the next refresh fills them."""
    columns = (
        sa.Column("population_year", sa.Integer),
        sa.Column("population_density", sa.Double),
        sa.Column("gdp", sa.Double),
        sa.Column("gdp_year", sa.Integer),
        sa.Column("gdp_per_capita", sa.Double),
        sa.Column("gdp_ppp", sa.Double),
        sa.Column("gdp_ppp_year", sa.Integer),
        sa.Column("statistics_population", sa.Integer),
        sa.Column("statistics_provider", sa.String(50)),
        sa.Column("statistics_as_of", _INSTANT),
    )
    # MySQL commits each column by itself and may have been interrupted.
    existing = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("countries")}
    missing = [column for column in columns if column.name not in existing]
    if missing:
        # No provider dated its figures. These were dates of an upload.
        op.execute(sa.text("UPDATE countries SET countries_as_of = NULL"))
    for column in missing:
        op.add_column("countries", column)
