"""Which page in a browser holds an image: two without a name never get the same."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column."""
    op.add_column("leases", sa.Column("page", sa.String(64), nullable=False, server_default=""))
