"""Jobs enqueued on a caller's own connection share its transaction, whichever supported driver it comes from."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import aiosqlite
import asyncpg
import psycopg
import pytest
import sqlalchemy as sa
from django.conf import settings
from django.db import connection as django_connection
from django.db import connections, transaction
from django.db.utils import ConnectionHandler
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from lineshaft.config import parse_store
from lineshaft.engines.callers import caller_tx, is_async_connection, needs_calling_thread
from lineshaft.engines.callers.postgres import number_parameters
from lineshaft.engines.postgres import PostgresEngine
from lineshaft.engines.sqlite import SqliteEngine
from lineshaft.errors import ConfigError, QueueFull, SchemaError, StoreError
from lineshaft.store.enqueue import insert_jobs
from lineshaft.store.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from lineshaft.engines.base import Engine, Tx
    from lineshaft.store.enqueue import NewRow

T = TypeVar("T")
COLUMNS = "id, queue, name, rank, run_at, stage, created_at, max_attempts, deadline, tenant, tags, meta, args"

if not settings.configured:
    settings.configure(USE_TZ=True)


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

    def jobs(self) -> list[str]:
        """The committed jobs."""
        return [str(one) for one in self.look("select id from {}job order by run_at")]

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
