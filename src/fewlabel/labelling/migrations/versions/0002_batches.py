"""Which answers were given by one key, and are taken back by one."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; answers that are there were given one by one."""
    op.add_column("events", sa.Column("batch", sa.Integer(), nullable=True))
