"""The GraphQL schema: types, inputs and operations."""
