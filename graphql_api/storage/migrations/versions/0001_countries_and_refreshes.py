"""Create the tables of countries and of refreshes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create them; types are named here as they were then, not as the code has them now."""
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
        sa.Column("last_refreshed_at", sa.DateTime, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("countries_provider", sa.String(50), nullable=False),
        sa.Column("countries_as_of", sa.DateTime),
        sa.Column("rates_provider", sa.String(50)),
        sa.Column("rates_as_of", sa.DateTime),
    )
    op.create_table(
        "refreshes",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(36), nullable=False, unique=True),
        sa.Column("finished_at", sa.DateTime, nullable=False),
        sa.Column("outcome", sa.String(50), nullable=False),
        sa.Column("attempt", sa.Text, nullable=False),
    )
