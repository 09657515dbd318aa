"""The kinds of connection that callers enqueue on: how each is opened and how its owner ends a transaction."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import aiosqlite
import asyncpg
import psycopg
import sqlalchemy as sa
from django import setup
from django.conf import settings
from django.db import connection as django_connection
from django.db import connections, transaction
from django.db.utils import ConnectionHandler
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from lineshaft.engines.callers import caller_tx, is_async_connection
from lineshaft.store.enqueue import insert_jobs

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Sequence
    from contextlib import AbstractContextManager

    from lineshaft.engines.base import Engine, Tx
    from lineshaft.store.enqueue import NewRow

T = TypeVar("T")
COLUMNS = "id, queue, name, rank, run_at, stage, created_at, max_attempts, deadline, tenant, tags, meta, args"

if not settings.configured:
    settings.configure(USE_TZ=True)
    setup()


@contextmanager
def running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@dataclass
class Store:
    """A store with the schema in place, and a table of the caller's own beside it."""

    engine: Engine
    url: str
    """A SQLite file's path, or a libpq address."""
    prefix: str
    loop: asyncio.AbstractEventLoop

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run what belongs to the async callers' event loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def look(self, query: str) -> list[Any]:
        """Read what is committed, over a connection that has nothing to do with the caller's."""
        is_sqlite = self.engine.dialect == "sqlite"
        connection: Any = sqlite3.connect(self.url) if is_sqlite else psycopg.connect(self.url)
        try:
            return [row if len(row) > 1 else row[0] for row in connection.execute(query.format(self.prefix)).fetchall()]
        finally:
            connection.close()

    def table(self, name: str) -> str:
        """One of the store's tables, as a statement names it."""
        return f"lineshaft_{name}" if self.engine.dialect == "sqlite" else f"{self.prefix}{name}"

    def jobs(self) -> list[str]:
        """The committed jobs."""
        return [str(one) for one in self.look(f"select id from {self.table('job')} order by run_at")]

    def own_rows(self) -> list[int]:
        """The committed rows of the caller's table."""
        return self.look("select n from {}own")

    def enqueue(self, connection: Any, rows: Sequence[NewRow], *, is_resend: bool = False) -> None:
        """Store jobs as the app does."""
        with self.tx(connection) as tx:
            insert_jobs(tx, rows, is_resend=is_resend)

    def tx(self, connection: Any) -> AbstractContextManager[Tx]:
        """Open the caller's transaction, with the loop where the connection needs it."""
        return caller_tx(connection, self.engine, loop=self.loop if is_async_connection(connection) else None)


@dataclass
class Caller:
    """An open connection of some kind, and its owner's way to use it."""

    connection: Any
    execute: Callable[[str], object]
    commit: Callable[[], object]
    rollback: Callable[[], object]


Opener = Callable[[Store], "AbstractContextManager[Caller]"]


def plain_sqlite(**options: Any) -> Opener:
    """Return an opener of the standard library's connections."""

    @contextmanager
    def opener(store: Store) -> Iterator[Caller]:
        connection = sqlite3.connect(store.url, **options)
        yield Caller(connection, connection.execute, connection.commit, connection.rollback)
        connection.close()

    return opener


@contextmanager
def peculiar_sqlite(store: Store) -> Iterator[Caller]:
    """A connection in an explicit transaction, with rows and texts as nobody expects them."""
    connection = sqlite3.connect(store.url, isolation_level=None)
    connection.row_factory = lambda _, row: {"row": row}
    connection.text_factory = bytes
    connection.execute("begin")
    yield Caller(connection, connection.execute, connection.commit, connection.rollback)
    assert connection.text_factory is bytes
    connection.close()


def async_sqlite(**options: Any) -> Opener:
    """Return an opener of aiosqlite connections, with rows and texts as nobody expects them."""

    @contextmanager
    def opener(store: Store) -> Iterator[Caller]:
        async def connect() -> aiosqlite.Connection:
            connection = await aiosqlite.connect(store.url, **options)
            connection.row_factory = lambda _, row: {"row": row}
            connection.text_factory = bytes
            return connection

        async def execute(text: str) -> None:
            await connection.execute(text)

        connection = store.wait(connect())
        yield Caller(
            connection,
            lambda text: store.wait(execute(text)),
            lambda: store.wait(connection.commit()),
            lambda: store.wait(connection.rollback()),
        )
        store.wait(connection.close())

    return opener


@contextmanager
def plain_psycopg(store: Store) -> Iterator[Caller]:
    """Psycopg's connection, whose transactions begin by themselves."""
    with psycopg.connect(store.url) as connection:
        yield Caller(connection, connection.execute, connection.commit, connection.rollback)


@contextmanager
def peculiar_psycopg(store: Store) -> Iterator[Caller]:
    """An autocommit connection in an explicit transaction, with rows and cursors as nobody expects them."""
    with psycopg.connect(
        store.url, autocommit=True, row_factory=dict_row, cursor_factory=psycopg.ClientCursor
    ) as connection:
        connection.execute("begin")
        yield Caller(connection, connection.execute, connection.commit, connection.rollback)


@contextmanager
def autocommit_psycopg(store: Store) -> Iterator[Caller]:
    """A connection that commits each statement."""
    with psycopg.connect(store.url, autocommit=True) as connection:
        yield Caller(connection, connection.execute, connection.commit, connection.rollback)


def async_psycopg(*, autocommit: bool) -> Opener:
    """Return an opener of psycopg's async connections."""

    @contextmanager
    def opener(store: Store) -> Iterator[Caller]:
        connection = store.wait(psycopg.AsyncConnection.connect(store.url, autocommit=autocommit))
        yield Caller(
            connection,
            lambda text: store.wait(connection.execute(text)),
            lambda: store.wait(connection.commit()),
            lambda: store.wait(connection.rollback()),
        )
        store.wait(connection.close())

    return opener


@contextmanager
def autocommit_asyncpg(store: Store) -> Iterator[Caller]:
    """Asyncpg's connection with no transaction open."""
    connection = store.wait(asyncpg.connect(store.url))

    async def nothing() -> None:
        assert not connection.is_in_transaction()

    yield Caller(
        connection,
        lambda text: store.wait(connection.execute(text)),
        lambda: store.wait(nothing()),
        lambda: store.wait(nothing()),
    )
    store.wait(connection.close())


@contextmanager
def pooled_asyncpg(store: Store) -> Iterator[Caller]:
    """A connection from asyncpg's pool in a transaction, with a codec that turns JSON into objects and back."""

    async def open_all() -> Any:
        pool = await asyncpg.create_pool(store.url, min_size=1, max_size=1)
        connection = await pool.acquire()
        await connection.set_type_codec("json", encoder=repr, decoder=repr, schema="pg_catalog")
        transaction = connection.transaction()
        await transaction.start()
        return pool, connection, transaction

    async def close_all() -> None:
        await pool.release(connection)
        await pool.close()

    pool, connection, transaction = store.wait(open_all())
    yield Caller(
        connection,
        lambda text: store.wait(connection.execute(text)),
        lambda: store.wait(transaction.commit()),
        lambda: store.wait(transaction.rollback()),
    )
    store.wait(close_all())


def sqlalchemy(driver: str, make: Callable[[sa.Engine], Any], **options: Any) -> Opener:
    """Return an opener of what `make` makes of an engine of SQLAlchemy."""

    @contextmanager
    def opener(store: Store) -> Iterator[Caller]:
        engine = sa.create_engine(alchemy_url(store, driver), **options)
        with make(engine) as connection:
            yield Caller(
                connection, lambda text: connection.execute(sa.text(text)), connection.commit, connection.rollback
            )
        engine.dispose()

    return opener


@contextmanager
def scoped(engine: sa.Engine) -> Iterator[scoped_session[Session]]:
    """Open a session that belongs to the current thread."""
    session = scoped_session(sessionmaker(engine))
    yield session
    session.remove()


def async_sqlalchemy(driver: str, make: Callable[[Any], Any], **options: Any) -> Opener:
    """Return an opener of what `make` makes of an async engine of SQLAlchemy."""

    @contextmanager
    def opener(store: Store) -> Iterator[Caller]:
        async def connect() -> Any:
            return await make(engine).__aenter__()

        async def close() -> None:
            await connection.close()
            await engine.dispose()

        engine = create_async_engine(alchemy_url(store, driver), **options)
        connection = store.wait(connect())
        yield Caller(
            connection,
            lambda text: store.wait(connection.execute(sa.text(text))),
            lambda: store.wait(connection.commit()),
            lambda: store.wait(connection.rollback()),
        )
        store.wait(close())

    return opener


def alchemy_url(store: Store, driver: str) -> str:
    """Return the store's address as SQLAlchemy writes it."""
    if store.engine.dialect == "sqlite":
        return f"{driver}:///{store.url}"
    return driver + store.url.removeprefix("postgresql")


def django(*, is_atomic: bool, is_proxy: bool = True) -> Opener:
    """Return an opener of Django's connection, inside `transaction.atomic()` or out of it."""

    @contextmanager
    def opener(store: Store) -> Iterator[Caller]:
        connections["default"] = ConnectionHandler({"default": django_database(store)})["default"]

        def end(*, is_rollback: bool = False) -> None:
            if is_atomic:
                transaction.set_rollback(is_rollback)
                block.__exit__(None, None, None)

        def execute(text: str) -> None:
            with django_connection.cursor() as cursor:
                cursor.execute(text)

        block = transaction.atomic()
        if is_atomic:
            block.__enter__()
        given = django_connection if is_proxy else connections["default"]
        yield Caller(given, execute, end, lambda: end(is_rollback=True))
        connections["default"].close()
        del connections["default"]

    return opener


def django_database(store: Store) -> dict[str, Any]:
    """Return the store's address as Django writes it."""
    if store.engine.dialect == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": store.url}
    known = conninfo_to_dict(store.url)
    names = {"HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password", "NAME": "dbname"}
    return {"ENGINE": "django.db.backends.postgresql"} | {name: known.get(key) or "" for name, key in names.items()}


TRANSACTIONAL: dict[str, tuple[str, Opener]] = {
    "sqlite3": ("sqlite", plain_sqlite()),
    "sqlite3 in a transaction": ("sqlite", peculiar_sqlite),
    "aiosqlite": ("sqlite", async_sqlite()),
    "SQLAlchemy connection on sqlite3": ("sqlite", sqlalchemy("sqlite", sa.Engine.connect)),
    "SQLAlchemy session on sqlite3": ("sqlite", sqlalchemy("sqlite", Session)),
    "SQLAlchemy session on aiosqlite": ("sqlite", async_sqlalchemy("sqlite+aiosqlite", AsyncSession)),
    "Django on sqlite3": ("sqlite", django(is_atomic=True)),
    "psycopg": ("postgres", plain_psycopg),
    "psycopg in a transaction": ("postgres", peculiar_psycopg),
    "async psycopg": ("postgres", async_psycopg(autocommit=False)),
    "asyncpg from a pool": ("postgres", pooled_asyncpg),
    "SQLAlchemy connection on psycopg": ("postgres", sqlalchemy("postgresql+psycopg", sa.Engine.connect)),
    "SQLAlchemy session on psycopg": ("postgres", sqlalchemy("postgresql+psycopg", Session)),
    "SQLAlchemy scoped session on psycopg": ("postgres", sqlalchemy("postgresql+psycopg", scoped)),
    "SQLAlchemy session on async psycopg": ("postgres", async_sqlalchemy("postgresql+psycopg", AsyncSession)),
    "SQLAlchemy connection on asyncpg": (
        "postgres",
        async_sqlalchemy("postgresql+asyncpg", lambda engine: engine.connect()),
    ),
    "SQLAlchemy session on asyncpg": ("postgres", async_sqlalchemy("postgresql+asyncpg", AsyncSession)),
    "Django on psycopg": ("postgres", django(is_atomic=True, is_proxy=False)),
}
COMMITTING: dict[str, tuple[str, Opener]] = {
    "sqlite3": ("sqlite", plain_sqlite(isolation_level=None)),
    "aiosqlite": ("sqlite", async_sqlite(isolation_level=None)),
    "SQLAlchemy connection on sqlite3": (
        "sqlite",
        sqlalchemy("sqlite", sa.Engine.connect, isolation_level="AUTOCOMMIT"),
    ),
    "Django on sqlite3": ("sqlite", django(is_atomic=False)),
    "psycopg": ("postgres", autocommit_psycopg),
    "async psycopg": ("postgres", async_psycopg(autocommit=True)),
    "asyncpg": ("postgres", autocommit_asyncpg),
    "SQLAlchemy session on psycopg": (
        "postgres",
        sqlalchemy("postgresql+psycopg", Session, isolation_level="AUTOCOMMIT"),
    ),
    "SQLAlchemy session on asyncpg": (
        "postgres",
        async_sqlalchemy("postgresql+asyncpg", AsyncSession, isolation_level="AUTOCOMMIT"),
    ),
    "Django on psycopg": ("postgres", django(is_atomic=False)),
}
if sys.version_info >= (3, 12):  # where sqlite3 learned the autocommit of PEP 249
    TRANSACTIONAL["sqlite3 without autocommit"] = ("sqlite", plain_sqlite(autocommit=False))
    COMMITTING["sqlite3 with autocommit"] = ("sqlite", plain_sqlite(autocommit=True))
