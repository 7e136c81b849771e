"""Providers of countries and rates: fetching, parsing and validating their data."""
