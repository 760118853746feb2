"""What Alembic runs: the migrations, within the transaction that the caller has begun."""

from alembic import context

from fewlabel.labelling.schema import metadata

# Only while a migration runs; a module that is merely imported must do nothing.
if hasattr(context, "config"):
    context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
    context.run_migrations()
