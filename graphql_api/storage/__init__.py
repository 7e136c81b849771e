"""The database. Only this package uses SQL."""
