"""Connections to one SQLite store: opened on demand, written to by one at a time, safe across `os.fork`."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Final, Literal, TypeVar

from lineshaft.clock import SystemClock
from lineshaft.engines.base import Engine, Listener, Params, Role, Tx, WorkerLock
from lineshaft.engines.fork import close_around_fork
from lineshaft.engines.sqlite.apart import ApartTx
from lineshaft.engines.sqlite.doorbell import Doorbell, MemoryDoorbell, SocketDoorbell
from lineshaft.engines.sqlite.locks import LockFolder
from lineshaft.engines.sqlite.log import KEPT_BYTES, PAGES, LoggedConnection
from lineshaft.engines.sqlite.network import refuse_network_file_system
from lineshaft.engines.sqlite.pool import ConnectionPool
from lineshaft.engines.sqlite.transaction import SqliteTx, is_busy, mapped_errors
from lineshaft.errors import ConfigError, StoreUnavailableError

Synchronous = Literal["NORMAL", "FULL"]
T = TypeVar("T")

# SQLite's own busy handler backs off to 100 ms and starves; short random naps do not (docs/decisions/0003).
_NAP_SECONDS: Final = (0.0002, 0.001)
_BUSY_DEADLINE_SECONDS: Final = 30.0
_PRAGMAS: Final = (
    "pragma busy_timeout = 0",
    "pragma cache_size = -16384",
    "pragma temp_store = memory",
    f"pragma wal_autocheckpoint = {PAGES}",
    f"pragma journal_size_limit = {KEPT_BYTES}",
)
_NONE: Final[Params] = {}


class SqliteEngine(Engine):
    """A store in one SQLite file (`path`), or in this process's memory (`path` None)."""

    dialect = "sqlite"
    idle_poll = 1.0

    def __init__(self, path: Path | None, *, synchronous: Synchronous = "NORMAL") -> None:
        self.path = path and path.expanduser().resolve()  # one store by any of its names: locks and rings go by it
        self.address = f"sqlite:///{self.path}" if self.path else "memory://"
        self.is_ephemeral = path is None
        self.out_of_reach: str | None = None
        """Why this process cannot use a store that lies in another one's memory."""
        self.clock = SystemClock()
        self._synchronous = synchronous
        self._start_afresh()
        close_around_fork(self)

    def _start_afresh(self) -> None:
        self._pool = ConnectionPool(self._open)
        self._writing = threading.RLock()
        self._memory: LoggedConnection | None = None
        self._doorbell: Doorbell = SocketDoorbell(self.path) if self.path else MemoryDoorbell()
        self._locks = LockFolder(self.path)

    def forget_connections(self) -> None:
        """Start afresh in a forked child."""
        # Closing an inherited connection would disturb the parent's: it is kept, unused, until the child ends.
        self._inherited = (self._pool, self._memory)
        self._start_afresh()

    def close_before_fork(self) -> None:
        """Leave no connection open for a child to inherit."""
        self._pool.close_before_fork()

    def go_on_after_fork(self) -> None:
        """Let connections be opened again."""
        self._pool.go_on_after_fork()

    @contextmanager
    def transaction(self) -> Iterator[SqliteTx]:
        """Open a write transaction, waiting up to 30 s for other writers."""
        with self._writing, self._connection() as connection:
            self._begin(connection)
            tx = SqliteTx(connection)
            try:
                yield tx
                with mapped_errors():
                    connection.execute("commit")
            except BaseException:
                _roll_back(connection)
                raise
            connection.note_commit()
        for role, queue in tx.to_ring:
            self._doorbell.ring(role, queue)

    def write_apart(self, operation: Callable[[Tx], T]) -> T:
        """Run an operation whose statements may commit by themselves, waiting up to 30 s for other writers."""
        with self._writing, self._connection() as connection:
            tx = ApartTx(connection, self._patiently)
            try:
                found = operation(tx)
                tx.commit()
            except BaseException:
                _roll_back(connection)
                raise
            connection.note_commit()
        for role, queue in tx.to_ring:
            self._doorbell.ring(role, queue)
        return found

    @contextmanager
    def reading(self) -> Iterator[SqliteTx]:
        """Open a read transaction: one snapshot that waits for nobody."""
        with self._connection() as connection:
            with mapped_errors():
                connection.execute("begin")
            try:
                yield SqliteTx(connection)
            finally:
                _roll_back(connection)

    @contextmanager
    def migrating(self) -> Iterator[SqliteTx]:
        """Open the transaction of a migration; the writers' lock keeps other processes out."""
        with self.transaction() as tx:
            yield tx

    def has_schema(self) -> bool:
        """Tell whether a migration ever ran here, without creating the file."""
        if self.path and not self.path.exists():
            return False
        with self._connection() as connection, mapped_errors():
            found = connection.execute("select 1 from sqlite_master where name = 'lineshaft_migration'").fetchone()
        return found is not None

    def listen(self, role: Role) -> Listener:
        """Bind a doorbell for this role."""
        return self._doorbell.bind(role)

    def hold_worker_lock(self, worker: int) -> WorkerLock:
        """Lock this worker's file beside the store."""
        return self._locks.hold(worker)

    def dead_workers(self, tx: Tx, workers: Sequence[int]) -> list[int]:  # noqa: ARG002 - the lock is a file
        """Return the workers whose file nobody has locked."""
        return [worker for worker in workers if self._locks.is_free(worker)]

    def vacuum(self) -> None:
        """Move the write-ahead log into the file, so that it stays short."""
        if self.path:
            with self._connection() as connection, mapped_errors():
                connection.execute("pragma wal_checkpoint(truncate)").fetchall()

    def close(self) -> None:
        """Close the idle connections; the file stays as it is."""
        self._pool.close()
        self._doorbell.close()
        with self._writing:  # a worker's thread that outlives its stop may be in the midst of a statement
            if self._memory:
                self._memory.close()
                self._memory = None

    def _connection(self) -> AbstractContextManager[LoggedConnection]:
        return self._pool.connection() if self.path else self._alone_in_memory()

    @contextmanager
    def _alone_in_memory(self) -> Iterator[LoggedConnection]:
        with self._writing:
            yield self._memory_connection()

    def _memory_connection(self) -> LoggedConnection:
        if self.out_of_reach is not None:
            raise ConfigError(self.out_of_reach)
        if self._memory is None:
            self._memory = self._open()
        return self._memory

    def _open(self) -> LoggedConnection:
        if self.path:
            refuse_network_file_system(self.path)
        name = str(self.path) if self.path else ":memory:"
        with mapped_errors(), ExitStack() as on_error:
            connection = sqlite3.connect(
                name, isolation_level=None, check_same_thread=False, timeout=0, factory=LoggedConnection
            )
            on_error.callback(connection.close)
            # Whoever creates the file at this moment, or recovers its log, locks out even a pragma.
            for pragma in (*_PRAGMAS, f"pragma synchronous = {self._synchronous}", "pragma journal_mode = wal"):
                self._patiently(connection, pragma)
            on_error.pop_all()
        return connection

    def _begin(self, connection: sqlite3.Connection) -> None:
        with mapped_errors():
            self._patiently(connection, "begin immediate")

    def _patiently(self, connection: sqlite3.Connection, statement: str, params: Params = _NONE) -> sqlite3.Cursor:
        deadline = self.clock.monotonic() + _BUSY_DEADLINE_SECONDS
        while True:
            try:
                return connection.execute(statement, params)
            except sqlite3.OperationalError as error:
                if not is_busy(error):
                    raise
                if self.clock.monotonic() > deadline:
                    msg = f"{self.address} stayed locked for {_BUSY_DEADLINE_SECONDS:.0f} s; find who writes to it"
                    raise StoreUnavailableError(msg) from error
                time.sleep(random.uniform(*_NAP_SECONDS))  # noqa: S311 - spreads contenders, guards nothing


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("rollback")
