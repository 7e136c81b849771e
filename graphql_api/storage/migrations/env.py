"""What Alembic runs around the migrations: they use the connection that `upgrade` hands over."""

from alembic import context

from graphql_api.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
