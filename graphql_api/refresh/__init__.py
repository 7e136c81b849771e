"""The use case: fetch every source, merge, upsert, draw, publish."""
