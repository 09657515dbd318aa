"""The store's statements on a caller's psycopg or asyncpg connection."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary, WeakSet

import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from lineshaft.engines.base import Dialect, Engine, Params, Row, Sql, Statement, Tx
from lineshaft.engines.postgres.prepared import number_parameters
from lineshaft.engines.postgres.transaction import bind, in_schema, mapped_errors
from lineshaft.errors import ConfigError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import asyncpg

    from lineshaft.engines.callers.loop import Loop
    from lineshaft.engines.postgres import PostgresEngine

# The server's start tells apart two servers whose databases have the same name.
_WHERE: Final = Statement(
    "where",
    Sql(()),
    Sql.parse(
        "select to_regclass('lineshaft.job') is not null, current_database()::text,"
        " extract(epoch from pg_postmaster_start_time())::text",
        "postgres",
        (),
    ),
)
_checked: WeakKeyDictionary[Engine, WeakSet[Any]] = WeakKeyDictionary()


@contextmanager
def postgres_tx(connection: Any, engine: PostgresEngine, loop: Loop) -> Iterator[Tx]:
    """Give a transaction on the caller's connection; raises `ConfigError` when it is not on the store's database."""
    driver = _driver(connection, loop)
    if driver.is_closed:
        msg = f"the {type(connection).__name__} given is closed: give one that is open"
        raise ConfigError(msg)
    with _as_one(driver):
        tx = CallerTx(driver, engine.schema)
        _refuse_other_database(tx, driver, engine)
        yield tx


@contextmanager
def _as_one(driver: Driver) -> Iterator[None]:
    """Have the statements of the block stand or fall together where the driver would commit each of them."""
    if not driver.commits_each_statement:
        yield
        return
    driver.fetch("begin isolation level read committed", {})
    try:
        yield
        driver.fetch("commit", {})
    except BaseException:
        if not driver.is_closed:
            driver.fetch("rollback", {})
        raise


def _refuse_other_database(tx: Tx, driver: Driver, engine: PostgresEngine) -> None:
    """Ask once a connection, which is a round trip, whether it leads where the store's own connections lead."""
    checked = _checked.setdefault(engine, WeakSet())
    if driver.session in checked:
        return
    [(has_schema, database, server)] = tx.run(_WHERE, {})
    [(_, store_database, store_server)] = engine.read(lambda own: own.run(_WHERE, {}))
    if (database, server) != (store_database, store_server):
        msg = (
            f"the connection is on database {database!r} of {_server(server == store_server)}, "
            f"the store is {engine.address}: give a connection to the store's database, or none"
        )
        raise ConfigError(msg)
    if not has_schema:
        msg = f"the table {engine.schema}.job is missing in database {database!r}: run 'lineshaft migrate'"
        raise SchemaError(msg)
    checked.add(driver.session)


def _server(is_same: bool) -> str:  # noqa: FBT001 - one private use
    return "the same server" if is_same else "another server"


class CallerTx:
    """The caller's transaction, in which named statements run."""

    dialect: Dialect = "postgres"

    def __init__(self, driver: Driver, schema: str) -> None:
        self._driver, self._schema = driver, schema

    def run(self, statement: Statement, params: Params, rows: Sequence[Params] | None = None) -> list[Row]:
        """Run a statement; many rows of parameters go as one JSON text or as one array a column."""
        text = in_schema(statement.postgres.parts[0], self._schema)
        return self._driver.fetch(text.decode(), bind(statement, params, rows))


class Driver(ABC):
    """What differs between the drivers of PostgreSQL."""

    session: Any
    """The object that lives exactly as long as the session of the server."""

    @property
    @abstractmethod
    def is_closed(self) -> bool:
        """Whether the connection has ended."""

    @property
    @abstractmethod
    def commits_each_statement(self) -> bool:
        """Whether a statement run now would be a transaction of its own."""

    @abstractmethod
    def fetch(self, text: str, params: Mapping[str, Any]) -> list[Row]:
        """Run a statement with `%(name)s` parameters and return its rows; raises the store's errors."""


def _driver(connection: Any, loop: Loop) -> Driver:
    if isinstance(connection, psycopg.Connection):
        return SyncPsycopg(connection)
    if isinstance(connection, psycopg.AsyncConnection):
        return AsyncPsycopg(connection, loop)
    return Asyncpg(connection, loop)


class Psycopg(Driver):
    """What a psycopg connection says of itself, synchronous or not."""

    session: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]

    @property
    def is_closed(self) -> bool:
        """Whether the connection has ended."""
        return bool(self.session.closed)

    @property
    def commits_each_statement(self) -> bool:
        """Whether a statement run now would be a transaction of its own."""
        return self.session.autocommit and self.session.info.transaction_status == TransactionStatus.IDLE


class SyncPsycopg(Psycopg):
    """A psycopg connection, used through plain cursors whatever cursors and rows its owner prefers."""

    session: psycopg.Connection[Any]

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.session = connection

    def fetch(self, text: str, params: Mapping[str, Any]) -> list[Row]:
        """Run a statement and return its rows."""
        with mapped_errors(), psycopg.Cursor(self.session, row_factory=tuple_row) as cursor:
            cursor.execute(text.encode(), params, binary=True)
            return cursor.fetchall() if cursor.description else []


class AsyncPsycopg(Psycopg):
    """A psycopg connection on the caller's event loop."""

    session: psycopg.AsyncConnection[Any]

    def __init__(self, connection: psycopg.AsyncConnection[Any], loop: Loop) -> None:
        self.session, self._loop = connection, loop

    def fetch(self, text: str, params: Mapping[str, Any]) -> list[Row]:
        """Run a statement on the loop and return its rows."""
        with mapped_errors():
            return self._loop.wait(self._fetch(text, params))

    async def _fetch(self, text: str, params: Mapping[str, Any]) -> list[Row]:
        async with psycopg.AsyncCursor(self.session, row_factory=tuple_row) as cursor:
            await cursor.execute(text.encode(), params, binary=True)
            return await cursor.fetchall() if cursor.description else []


class Asyncpg(Driver):
    """An asyncpg connection, alone or from a pool, on the caller's event loop."""

    def __init__(self, connection: asyncpg.Connection[Any], loop: Loop) -> None:
        self._connection, self._loop = connection, loop
        # A pool gives a new proxy, which takes no weak reference, at each acquire; the connection within stays.
        self.session = getattr(connection, "_con", connection)

    @property
    def is_closed(self) -> bool:
        """Whether the connection has ended, or went back to its pool."""
        return self.session is None or self._connection.is_closed()

    @property
    def commits_each_statement(self) -> bool:
        """Whether a statement run now would be a transaction of its own."""
        return not self._connection.is_in_transaction()

    def fetch(self, text: str, params: Mapping[str, Any]) -> list[Row]:
        """Run a statement on the loop, with its parameters numbered, and return its rows."""
        numbered, names = number_parameters(text)
        with mapped_errors(), _as_psycopg_errors():
            records = self._loop.wait(self._connection.fetch(numbered, *(params[name] for name in names)))
        return [tuple(record) for record in records]


@contextmanager
def _as_psycopg_errors() -> Iterator[None]:
    """Turn asyncpg's errors into psycopg's of the same SQLSTATE, so that one table maps both to the store's."""
    import asyncpg

    try:
        yield
    except asyncpg.PostgresError as error:
        raise _same_in_psycopg(error.sqlstate)(str(error)) from error
    except (asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise psycopg.InterfaceError(str(error) or type(error).__name__) from error


def _same_in_psycopg(sqlstate: str | None) -> type[psycopg.Error]:
    try:
        return errors.lookup(sqlstate or "")
    except KeyError:
        return psycopg.DatabaseError
