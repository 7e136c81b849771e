"""Parse, limit, validate and execute GraphQL documents."""
