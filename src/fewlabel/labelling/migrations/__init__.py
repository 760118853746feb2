"""Alembic's migrations of the label store, which go up alone: answers are never deleted."""
