"""Alembic's environment: migrations run on the connection that `upgrade.to_head` passes."""

from alembic import context

from graphql_api.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
