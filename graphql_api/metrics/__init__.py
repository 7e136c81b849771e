"""Metrics: declared as data, recorded in memory that all workers share."""
