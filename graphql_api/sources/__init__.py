"""The outside world in, domain records out; the only place that knows a provider's format."""
