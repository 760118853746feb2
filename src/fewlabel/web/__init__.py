"""The labelling page and its HTTP API."""
