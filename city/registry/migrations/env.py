"""What alembic runs: on the connection, and in the transaction, that ``store.migrate`` gives."""

from alembic import context

from city.registry.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
