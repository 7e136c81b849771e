"""Create the table `leases` with the lease of refreshes."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_OPTIONS = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    """Create table and lease. The lease continues from the highest revision of the rows."""
    op.create_table(
        "leases",
        sa.Column("name", sa.String(50), primary_key=True),
        sa.Column("holder", sa.String(50)),
        sa.Column("refresh_id", sa.String(36)),
        sa.Column("taken_at", sa.Double),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        if_not_exists=True,
        **_OPTIONS,
    )
    connection = op.get_bind()
    leases = sa.table("leases", *map(sa.column, ("name", "expires_at", "revision")))
    # MySQL may have been interrupted after this statement.
    if connection.scalar(sa.select(sa.func.count()).select_from(leases)) == 0:
        highest = connection.scalar(sa.text("SELECT MAX(revision) FROM countries")) or 0
        op.bulk_insert(leases, [{"name": "refresh", "expires_at": 0, "revision": highest}])
