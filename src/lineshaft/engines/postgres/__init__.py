"""The PostgreSQL engine: psycopg 3, one schema a store."""

from lineshaft.engines.postgres.engine import PostgresEngine

__all__ = ["PostgresEngine"]
