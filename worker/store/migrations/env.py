"""Run by Alembic: migrates on the connection that worker.store.schema hands over."""

from alembic import context

from worker.store.tables import Source

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Source.metadata,
    render_as_batch=context.config.attributes["connection"].dialect.name == "sqlite",
    version_table="tocsin_schema",
)
with context.begin_transaction():
    context.run_migrations()
