"""Measures what limits cost and how exact they are: `make flow`."""
