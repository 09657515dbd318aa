"""The SQLite engine: one file, or memory, in WAL mode."""

from lineshaft.engines.sqlite.engine import SqliteEngine

__all__ = ["SqliteEngine"]
