"""A GraphQL API server for the world's countries."""

__version__ = "0.1.0"
