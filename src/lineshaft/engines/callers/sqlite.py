"""The store's statements on a caller's sqlite3 or aiosqlite connection."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from lineshaft.engines.sqlite.transaction import SqliteTx, mapped_errors
from lineshaft.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lineshaft.engines.base import Row, Tx
    from lineshaft.engines.callers.loop import Loop
    from lineshaft.engines.sqlite import SqliteEngine


class Cursor(Protocol):
    """What runs statements: a plain cursor of our own, because the caller's connection may have a row factory."""

    @property
    def description(self) -> Any:
        """The columns of the last statement's answer; None when it has none."""

    def execute(self, text: str, params: Mapping[str, Any] = ..., /) -> Cursor:
        """Run a statement and return this cursor."""
        ...

    def fetchall(self) -> list[Row]:
        """Return the rows of the last statement."""
        ...


@contextmanager
def sqlite_tx(connection: Any, engine: SqliteEngine, loop: Loop) -> Iterator[Tx]:
    """Give a transaction on the caller's connection; raises `ConfigError` when it is not on the store's file."""
    if engine.path is None:
        msg = "a memory:// store lives in a connection of its own that no other joins: use a sqlite:/// store, or none"
        raise ConfigError(msg)
    with _plain_text(connection):
        cursor = _open_cursor(connection, loop)
        _refuse_other_file(cursor, engine.path)
        with _as_one(connection, cursor):
            # SqliteTx only executes, and a cursor of ours does that without the caller's row factory.
            yield SqliteTx(cast("sqlite3.Connection", cursor))


@contextmanager
def _plain_text(connection: Any) -> Iterator[None]:
    with _usable():
        factory, connection.text_factory = connection.text_factory, str
    try:
        yield
    finally:
        connection.text_factory = factory


def _open_cursor(connection: Any, loop: Loop) -> Cursor:
    with _usable():
        if isinstance(connection, sqlite3.Connection):
            return sqlite3.Cursor(connection)
        return _AsyncCursor(connection, loop)


def _refuse_other_file(cursor: Cursor, path: Path) -> None:
    with _usable():
        main = next(row[2] for row in cursor.execute("pragma database_list").fetchall() if row[1] == "main")
    if not _is_same_file(main, path):
        msg = f"the connection is on {main or 'memory'}, the store is {path}: give a connection to that file, or none"
        raise ConfigError(msg)


def _is_same_file(name: str, path: Path) -> bool:
    return bool(name) and Path(name).exists() and path.exists() and path.samefile(name)


@contextmanager
def _as_one(connection: Any, cursor: Cursor) -> Iterator[None]:
    """Have the statements of the block stand or fall together, in a transaction of ours where none is open.

    It is opened immediate: what the statements read must hold when they write. Where the driver would have begun
    one by itself, at the insert, it stays open for the caller to commit.
    """
    if connection.in_transaction:
        yield
        return
    _command(cursor, "begin immediate")
    try:
        yield
        if _commits_each_statement(connection):
            _command(cursor, "commit")
    except BaseException:
        if connection.in_transaction:
            _command(cursor, "rollback")
        raise


def _commits_each_statement(connection: Any) -> bool:
    is_autocommit = getattr(connection, "autocommit", None) is True  # from Python 3.12
    return is_autocommit or connection.isolation_level is None


def _command(cursor: Cursor, text: str) -> None:
    with mapped_errors():
        cursor.execute(text)


@contextmanager
def _usable() -> Iterator[None]:
    try:
        yield
    except (sqlite3.ProgrammingError, ValueError) as error:  # closed (aiosqlite: ValueError), or of another thread
        why = str(error).rstrip(".")
        msg = f"the SQLite connection cannot be used: {why}; give one that is open and of this thread"
        raise ConfigError(msg) from error


class _AsyncCursor:
    """Runs statements on an aiosqlite connection, from outside its event loop."""

    def __init__(self, connection: Any, loop: Loop) -> None:
        self._connection, self._loop = connection, loop
        self._rows: list[Row] = []
        self.description: Any = None

    def execute(self, text: str, params: Mapping[str, Any] | None = None, /) -> _AsyncCursor:
        self.description, self._rows = self._loop.wait(self._execute(text, params or {}))
        return self

    async def _execute(self, text: str, params: Mapping[str, Any]) -> tuple[Any, list[Row]]:
        async with self._connection.cursor() as cursor:
            cursor.row_factory = None
            await cursor.execute(text, params)
            return cursor.description, list(await cursor.fetchall())

    def fetchall(self) -> list[Row]:
        return self._rows
