"""Alembic's migrations of the label store; `fewlabel.labelling.database` runs them."""
