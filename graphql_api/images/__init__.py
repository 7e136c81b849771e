"""Draw and cache summary images."""
