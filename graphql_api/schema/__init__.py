"""The GraphQL schema: types, inputs, resolvers of a few lines, error codes."""
