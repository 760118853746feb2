"""Images, events, leases, and which label tables were written."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "project",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("several", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "tables",
        sa.Column("place", sa.String(4096), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    )
    op.create_table(
        "images",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("name", sa.String(4096), nullable=False),
        sa.UniqueConstraint("digest", "name", name="uq_images_digest_name"),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("annotator", sa.String(200), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=True),
        sa.Column("labels", sa.JSON(), nullable=True),
        sa.Column("purpose", sa.String(16), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("origin", sa.String(16), nullable=True),
        sa.Column("suggested", sa.JSON(), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("round", sa.Integer(), nullable=True),
        sa.Column("target", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_events_image"),
        sa.ForeignKeyConstraint(["target"], ["events.id"], name="fk_events_target"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "leases",
        sa.Column("image_id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("annotator", sa.String(200), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_leases_image"),
    )
    op.execute("INSERT INTO project (id, several) VALUES (1, FALSE)")
