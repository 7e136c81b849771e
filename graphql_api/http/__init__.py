"""ASGI: the GraphQL endpoint, the pictures, health and the pages for people."""
