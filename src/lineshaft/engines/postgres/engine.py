"""Connections to one PostgreSQL store: a small pool, safe across `os.fork`, in step with the server's clock."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar, cast
from weakref import WeakKeyDictionary

import psycopg
from psycopg import conninfo

from lineshaft.clock import SystemClock
from lineshaft.engines.base import HEARD, AsyncTransaction, Engine, Listener, Role, Tx, WorkerLock
from lineshaft.engines.fork import forget_after_fork
from lineshaft.engines.postgres.connection import WaryConnection, seconds_of, with_defaults
from lineshaft.engines.postgres.listener import PostgresListener
from lineshaft.engines.postgres.lock import AdvisoryLock
from lineshaft.engines.postgres.transaction import ApartTx, PostgresTx, in_schema, mapped_errors

Connection = psycopg.Connection[Any]
T = TypeVar("T")


class Session(NamedTuple):
    """A session of the server's, told from a later one with the same process id."""

    pid: int
    started_at: str


# A generic plan never turns wrong when statistics are stale (docs/decisions/0001).
_SESSION: Final = (
    "set plan_cache_mode = force_generic_plan",
    # A plan made while the table was empty would read all of it, row by row, once it has grown.
    "set enable_seqscan = off",
    # A bitmap has no order: where statistics are old, everything that matches would be read and sorted for one page.
    "set enable_bitmapscan = off",
    "set jit = off",
    "set idle_in_transaction_session_timeout = '60s'",
    "set default_transaction_isolation = 'read committed'",
    "set client_encoding = 'UTF8'",
)
_WHO_AND_WHEN: Final = (
    "select pid, backend_start::text, (extract(epoch from clock_timestamp()) * 1000000)::bigint"
    " from pg_stat_activity where pid = pg_backend_pid()"
)
_END: Final = (
    "select pg_terminate_backend(pid, %s) from pg_stat_activity"
    " where pid = %s and backend_start::text = %s and usename = current_user"
)
_END_MILLISECONDS: Final = 5_000
_IS_AT_WORK: Final = (
    "select true from pg_stat_activity where pid = %s and backend_start::text = %s and state not like 'idle%%'"
)


class PostgresEngine(Engine):
    """A store in one schema of a PostgreSQL database.

    `url` is a libpq address; `listen_url` names a direct connection for wake-ups and locks where `url` goes
    through a pooler.
    """

    dialect = "postgres"
    idle_poll = 1.0
    beside_from = 250

    def __init__(self, url: str, *, schema: str = "lineshaft", listen_url: str | None = None) -> None:
        self.schema = schema
        self._url = with_defaults(url)
        self._listen_url = with_defaults(listen_url or url)
        self.address = _printable(url, schema)
        self.clock = SystemClock()
        self._idle: list[Connection] = []
        self._inherited: list[Connection] = []
        self._sessions: WeakKeyDictionary[Connection, Session] = WeakKeyDictionary()
        self._broken: list[Session] = []
        forget_after_fork(self)

    def forget_connections(self) -> None:
        """Start afresh in a forked child: closing the parent's connections here would end them there."""
        self._inherited, self._idle, self._broken = self._idle, [], []

    def transaction(self) -> AbstractContextManager[PostgresTx]:
        """Open a write transaction in READ COMMITTED."""
        return self._begun("begin")

    def reading(self) -> AbstractContextManager[PostgresTx]:
        """Open a transaction that only reads, in one snapshot: a job that finishes meanwhile is seen in one table."""
        return self._begun("begin isolation level repeatable read read only")

    @contextmanager
    def _begun(self, how: str) -> Iterator[PostgresTx]:
        with self._sound_connection() as connection:
            with mapped_errors():
                connection.execute(how)
            yield PostgresTx(connection, self.schema)
            with mapped_errors():
                # Reads too: psycopg answers a rollback by dropping all prepared statements of the session.
                connection.execute("commit")

    def write_apart(self, operation: Callable[[Tx], T]) -> T:
        """Run an operation whose statements commit by themselves: no round trips for `begin` and `commit`."""
        with self._sound_connection() as connection:
            return operation(ApartTx(connection, self.schema))

    @contextmanager
    def migrating(self) -> Iterator[PostgresTx]:
        """Open the transaction of a migration, behind a lock that lets one process migrate at a time."""
        with self._connection() as guard:
            with mapped_errors():
                guard.execute("select pg_advisory_lock(%s)", (self.lock_class,))
            try:
                with self.transaction() as tx:
                    yield tx
            finally:
                with mapped_errors():
                    guard.execute("select pg_advisory_unlock(%s)", (self.lock_class,))

    def has_schema(self) -> bool:
        """Tell whether a migration ever ran in this schema."""
        with self._connection() as connection, mapped_errors():
            text = in_schema("select to_regclass('lineshaft.migration') is not null", self.schema)
            row = connection.execute(text).fetchone()
        return bool(row and row[0])

    @property
    def lock_class(self) -> int:
        """The first key of this store's advisory locks: one database may hold several stores."""
        return zlib.crc32(self.schema.encode()) & 0x7FFFFFFF

    def listen(self, role: Role) -> Listener:
        """Open a connection that hears this store's notifications."""
        return PostgresListener(self.connect(direct=True), *(f"{self.schema}_{one}" for one in HEARD[role]))

    def hold_worker_lock(self, worker: int) -> WorkerLock:
        """Take an advisory lock on a session of its own."""
        return AdvisoryLock(lambda: self.connect(direct=True), self.clock, self.lock_class, worker)

    def dead_workers(self, tx: Tx, workers: Sequence[int]) -> list[int]:
        """Return the workers whose advisory lock no session holds."""
        connection = cast(PostgresTx, tx).connection
        with mapped_errors():
            rows = connection.execute(
                "select w from unnest(%s::bigint[]) w where not exists ("
                " select from pg_locks where locktype = 'advisory' and objsubid = 2 and granted"
                " and database = (select oid from pg_database where datname = current_database())"
                " and classid::bigint = %s and objid::bigint = w)",
                (list(workers), self.lock_class),
            ).fetchall()
        return [row[0] for row in rows]

    def async_transaction(self) -> AsyncTransaction:
        """Return a transaction on an asynchronous connection of its own."""
        from lineshaft.engines.postgres.async_transaction import PostgresAsyncTransaction

        return PostgresAsyncTransaction(self._aconnect, self.schema)

    async def _aconnect(self) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(self._url, autocommit=True, application_name="lineshaft")

    def vacuum(self) -> None:
        """Vacuum the live table: its dead rows slow down every claim (docs/decisions/0001).

        And the tables that are written with jobs that have limits or turns: while they are empty it takes microseconds.
        """
        tables = "lineshaft.job, lineshaft.gate, lineshaft.slot, lineshaft.fair"
        with self._connection() as connection, mapped_errors():
            connection.execute(in_schema(f"vacuum (truncate off, skip_locked) {tables}", self.schema))

    def close(self) -> None:
        """Close the idle connections."""
        while connection := self._idle_one():
            connection.close()

    def connect(self, *, direct: bool = False) -> Connection:
        """Open a connection of our settings; `direct` goes past a pooler where `listen_url` says how."""
        with mapped_errors(), ExitStack() as on_error:
            url = self._listen_url if direct else self._url
            connection = self._dial(url)
            on_error.callback(connection.close)
            for setting in _SESSION:
                connection.execute(setting, prepare=False)
            self._get_to_know(connection)
            connection.is_at_work = partial(self._is_at_work, url, self._sessions.get(connection))
            on_error.pop_all()
        return connection

    @staticmethod
    def _dial(url: str) -> WaryConnection:
        connection = WaryConnection.connect(url, autocommit=True, prepare_threshold=0, application_name="lineshaft")
        connection.silence_seconds = seconds_of(url)
        return connection

    def _is_at_work(self, url: str, session: Session | None) -> bool:
        """Ask on a connection of its own; behind a pooler, whose sessions are nobody's, an answer is all we can get."""
        try:
            with self._dial(url) as other:
                return other.execute(_IS_AT_WORK, session).fetchone() is not None if session else True
        except psycopg.Error:
            return False

    def _get_to_know(self, connection: Connection) -> None:
        """Follow the server's clock, and note the session, to be able to end it from another."""
        before = self.clock.monotonic()
        row = connection.execute(_WHO_AND_WHEN, prepare=False).fetchone()
        assert row is not None
        pid, started_at, now = row
        self.clock.follow(now, before, self.clock.monotonic())
        if pid == connection.info.backend_pid:  # else a pooler stands between, and lends the session to others
            self._sessions[connection] = Session(pid, started_at)

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        connection = self._idle_one() or self.connect()
        try:
            self._end_broken(connection)
            yield connection
        finally:
            if connection.closed:  # the server went: its other sessions went with it
                self._note_broken(connection)
                self.close()
            else:
                self._idle.append(connection)

    @contextmanager
    def _sound_connection(self) -> Iterator[Connection]:
        """Lend a connection on which nothing stays open, whatever happens."""
        with self._connection() as connection:
            try:
                yield connection
            except BaseException:
                _roll_back(connection)
                raise

    def _note_broken(self, connection: Connection) -> None:
        session = self._sessions.pop(connection, None)
        if session is not None:
            self._broken.append(session)

    def _end_broken(self, connection: Connection) -> None:
        """End sessions whose connections broke: what is on its way to one may arrive after it was sent again."""
        for session in list(self._broken):
            with mapped_errors():
                connection.execute(_END, (_END_MILLISECONDS, *session), prepare=False)
            with suppress(ValueError):  # another thread was as quick
                self._broken.remove(session)

    def _idle_one(self) -> Connection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None


def _roll_back(connection: Connection) -> None:
    if not connection.closed and not connection.broken:
        try:
            connection.execute("rollback")
        except psycopg.Error:
            connection.close()


def _printable(url: str, schema: str) -> str:
    known = conninfo.conninfo_to_dict(url)
    host = known.get("host") or known.get("hostaddr") or "localhost"
    port = f":{known['port']}" if known.get("port") else ""
    user = f"{known['user']}@" if known.get("user") else ""
    return f"postgresql://{user}{host}{port}/{known.get('dbname') or ''}?schema={schema}"
