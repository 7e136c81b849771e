"""What operators count and look at: declared as data, kept for all workers together."""
