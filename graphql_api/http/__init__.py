"""ASGI: the GraphQL endpoint, the pages, images, health and metrics."""
