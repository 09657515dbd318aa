"""Enqueueing inside the caller's own transaction: named statements run on a connection or session of theirs.

A sync session or wrapper is reduced to the driver's connection under it, and the store's statements run there.
Statements of an async connection are handed, one by one, to the event loop that it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, cast

from lineshaft.engines.base import Engine, Tx
from lineshaft.engines.callers.kinds import (
    Kind,
    driver_connection_under,
    is_async_connection,
    kind_of,
    needs_calling_thread,
)
from lineshaft.engines.callers.loop import Loop
from lineshaft.engines.callers.sqlite import sqlite_tx
from lineshaft.errors import ConfigError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from lineshaft.engines.postgres import PostgresEngine
    from lineshaft.engines.sqlite import SqliteEngine

__all__ = ["caller_tx", "checked_kind", "is_async_connection", "needs_calling_thread"]

Opener = Callable[[Any, Engine, Loop], AbstractContextManager[Tx]]


@contextmanager
def caller_tx(connection: Any, engine: Engine, *, loop: AbstractEventLoop | None = None) -> Iterator[Tx]:
    """Give a transaction of the store that is the caller's: what runs in it stands when the caller commits.

    A connection that commits each statement by itself, and has no transaction open, gets one of ours around the
    block: committed at its end, rolled back on any error. Otherwise nothing is committed or rolled back here: where
    no transaction is open yet, one begins as the driver, or SQLAlchemy, begins it at a first statement. After an
    error the caller's transaction is as the driver leaves it.

    On SQLite the caller's commit cannot wake workers: an idle one sees the jobs within `engine.idle_poll` seconds.

    Args:
        connection: An open connection or session of psycopg, asyncpg, SQLAlchemy 2, Django, sqlite3 or aiosqlite, on
            the store's own database.
        engine: The store's engine; its schema must exist.
        loop: The running event loop that an async connection belongs to. The block must then run in another thread,
            and nobody else may use the connection meanwhile. Sync connections do without.

    Raises:
        ConfigError: The connection is closed, of an unknown type, on another database than the store, or async
            without a loop.
        SchemaError: The database is the store's, its schema is missing.
        StoreError: The driver refused a statement; `StoreUnavailableError` where trying again may work.
    """
    kind = checked_kind(connection, is_awaited=loop is not None)
    bridge = Loop(loop)
    driver = driver_connection_under(connection, kind, bridge)
    with _opener(driver, engine)(driver, engine, bridge) as tx:
        yield tx


def checked_kind(connection: Any, *, is_awaited: bool) -> Kind:
    """Return what kind of connection or session this is; raises `ConfigError` when it is none that can be used."""
    kind = kind_of(connection)
    if kind is None:
        raise ConfigError(_unknown(connection))
    if kind.is_async and not is_awaited:
        msg = f"{kind} is asynchronous and enqueue is not: await aenqueue(…, connection=…) instead"
        raise ConfigError(msg)
    return kind


def _opener(driver: Any, engine: Engine) -> Opener:
    kind = kind_of(driver)
    if kind is None or kind.dialect is None:
        raise ConfigError(_unknown(driver))
    if kind.dialect != engine.dialect:
        msg = f"{kind} cannot write to the store {engine.address}: give a connection to that database, or none"
        raise ConfigError(msg)
    return _open_sqlite if kind.dialect == "sqlite" else _open_postgres


def _open_sqlite(connection: Any, engine: Engine, loop: Loop) -> AbstractContextManager[Tx]:
    return sqlite_tx(connection, cast("SqliteEngine", engine), loop)


def _open_postgres(connection: Any, engine: Engine, loop: Loop) -> AbstractContextManager[Tx]:
    from lineshaft.engines.callers.postgres import postgres_tx  # psycopg is there: the store's engine has loaded it

    return postgres_tx(connection, cast("PostgresEngine", engine), loop)


def _unknown(connection: Any) -> str:
    given = type(connection)
    return (
        f"connection= cannot be a {given.__module__}.{given.__qualname__}: give an open connection or session of "
        "psycopg 3, asyncpg, SQLAlchemy or Django, or, on a SQLite store, of sqlite3 or aiosqlite"
    )
