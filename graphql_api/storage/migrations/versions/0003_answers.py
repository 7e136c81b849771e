"""Create the table `answers`, the provider cache."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"

_OPTIONS = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "answers",
        sa.Column("kind", sa.String(20), primary_key=True),
        sa.Column("answer", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql"), nullable=False),
        if_not_exists=True,
        **_OPTIONS,
    )
