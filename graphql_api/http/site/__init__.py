"""Pages, images, health and metrics: everything except /graphql."""
