"""Serve HTTP and WebSocket bytes: uvicorn's protocols, extended, and its worker processes."""
