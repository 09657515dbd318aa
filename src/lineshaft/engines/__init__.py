"""Engines: connections, dialects, wake-ups and locks of the databases that hold a store."""
