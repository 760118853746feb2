"""The tables of the label store; a change of them comes with a migration in ``migrations``."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

HEAD = "0004"
"""The migration that makes the tables what they are here."""

metadata = MetaData()
"""All tables."""

# A single row: who writes locks it, so that the numbers of events grow in the order of commits.
project = Table(
    "project",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("several", Boolean, nullable=False),
    Column("repeats", Integer, nullable=False, server_default="1"),
)

# The label tables as they were last written, to know whether a person has edited one since.
tables = Table(
    "tables",
    metadata,
    Column("place", String(4096), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("version", Integer, nullable=False),
)

# Only those that were asked for or answered.
images = Table(
    "images",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("name", String(4096), nullable=False),
    UniqueConstraint("digest", "name", name="uq_images_digest_name"),
)

# Nothing here is ever changed or deleted.
events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    # answer, undo, purpose, class, rename
    Column("kind", String(16), nullable=False),
    Column("annotator", String(200), nullable=False),
    Column("image_id", ForeignKey("images.id", name="fk_events_image")),
    # Of an answer; or the name of a class; or its old and new name.
    Column("labels", JSON(none_as_null=True)),
    Column("purpose", String(16)),
    Column("seconds", Float),
    Column("origin", String(16)),
    Column("suggested", JSON(none_as_null=True)),
    Column("confidence", Float),
    Column("round", Integer),
    # Answers that one key gave.
    Column("batch", Integer),
    # What is undone.
    Column("target", ForeignKey("events.id", name="fk_events_target")),
    sqlite_autoincrement=True,
)

# One row a fit: the numbers of rounds go on after a restart.
rounds = Table(
    "rounds",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("n_labels", Integer, nullable=False),
    Column("value", Float),
    Column("low", Float),
    Column("high", Float),
    sqlite_autoincrement=True,
)

leases = Table(
    "leases",
    metadata,
    Column(
        "image_id",
        ForeignKey("images.id", name="fk_leases_image"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("annotator", String(200), nullable=False),
    # Of the browser: people who give no name, or one person in two tabs, are told apart by it.
    Column("page", String(64), nullable=False),
    Column("until", Float, nullable=False),
)
