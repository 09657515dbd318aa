"""Opening the store at first use, and calling it with patience while it is away."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from lineshaft.blobs import Depot, open_depot, temporary_depot
from lineshaft.clock import SECOND
from lineshaft.config import Settings, StoreAddress, parse_store
from lineshaft.engines.base import ConflictError, Engine, Tx
from lineshaft.errors import ConfigError, SchemaError, StoreUnavailableError
from lineshaft.store import migrate

T = TypeVar("T")

_FIRST_WAIT: Final = 0.02
_LONGEST_WAIT: Final = 1.0


class Store:
    """An app's store: nothing is opened before it is used."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._address = parse_store(settings.store)
        self._engine: Engine | None = None
        self.depot: Depot = self._open_depot()
        """The large values of the store's jobs."""
        self._lock = threading.Lock()
        self._is_ready = False
        self._was_reached = False
        self._pause = threading.Event()
        self.is_new = False
        """Whether this process created the store."""

    @property
    def is_open(self) -> bool:
        """Whether anything was opened."""
        return self._engine is not None

    def use(self, settings: Settings) -> None:
        """Take another address, before anything is opened."""
        self._settings, self._address = settings, parse_store(settings.store)
        self.depot = self._open_depot()

    @contextmanager
    def replaced(self, engine: Engine) -> Iterator[None]:
        """Keep jobs in another engine's store, whose schema is in place, for the length of the block.

        Everything that holds this store follows: the one that the settings name is neither opened nor touched.
        """
        with self._lock:
            before = self._engine, self._is_ready, self._was_reached, self.depot
            self._engine, self._is_ready, self._was_reached, self.depot = engine, True, True, temporary_depot()
        try:
            yield
        finally:
            with self._lock:
                self._engine, self._is_ready, self._was_reached, self.depot = before
            engine.close()

    @property
    def engine(self) -> Engine:
        """The engine, its schema checked and, where the settings allow it, created or upgraded."""
        if not self._is_ready:
            with self._lock:
                self._make_ready()
        assert self._engine is not None
        return self._engine

    @property
    def known_engine(self) -> Engine:
        """The engine in a process whose parent has reached the store: it may be away for now."""
        self._was_reached = True
        try:
            return self.engine
        except StoreUnavailableError:
            return self.bare_engine

    @property
    def bare_engine(self) -> Engine:
        """The engine without a look at its schema."""
        with self._lock:
            if self._engine is None:
                self._engine = open_engine(self._address)
            return self._engine

    def write(self, operation: Callable[[Tx, bool], T]) -> T:
        """Run a write operation, again while the store is away; the second argument says that it was sent before."""
        return self.send(lambda engine, is_resend: engine.write(lambda tx: operation(tx, is_resend)))

    def send(self, operation: Callable[[Engine, bool], T]) -> T:
        """Run an operation that opens its own transactions, as `write` does."""
        is_resend = False

        def attempt() -> T:
            nonlocal is_resend
            again, is_resend = is_resend, True
            return operation(self.engine, again)

        return self._patiently(attempt)

    def read(self, operation: Callable[[Tx], T]) -> T:
        """Run an operation that only reads, again while the store is away."""
        return self._patiently(lambda: self.engine.read(operation))

    def migrate(self) -> list[migrate.Migration]:
        """Create or upgrade the schema and return what was applied."""
        applied = migrate.migrate(self.bare_engine)
        self._is_ready = True
        return applied

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        with self._lock:
            if self._engine is not None:
                self._engine.close()
            if self._engine is not None and not self._engine.is_ephemeral:
                self._engine, self._is_ready = None, False

    def _open_depot(self) -> Depot:
        return open_depot(self._settings.blobs, self._address, lambda: f"{self.read(migrate.born_at):x}")

    def _make_ready(self) -> None:
        if self._is_ready:
            return
        engine = self._engine or open_engine(self._address)
        self._engine = engine
        done = migrate.version(engine)
        migrate.refuse_newer(engine, done)
        if done < migrate.newest(engine.dialect):
            self._upgrade(engine, done)
        self._is_ready = self._was_reached = True

    def _upgrade(self, engine: Engine, done: int) -> None:
        may_upgrade = self._settings.migrate == "auto" and (done == 0 or engine.dialect == "sqlite")
        if not may_upgrade:
            state = (
                "has no schema yet"
                if done == 0
                else f"has schema {done}, this code needs {migrate.newest(engine.dialect)}"
            )
            msg = f"the store {engine.address} {state}; run 'lineshaft migrate'"
            raise SchemaError(msg)
        migrate.migrate(engine)
        self.is_new = done == 0

    def _patiently(self, attempt: Callable[[], T]) -> T:
        """Try again with growing waits; a store that was never reached is an error at once."""
        deadline: float | None = None
        wait = _FIRST_WAIT
        while True:
            try:
                return attempt()
            except StoreUnavailableError as error:
                clock = self.bare_engine.clock
                deadline = deadline or clock.monotonic() + self._settings.patience / SECOND
                if not self._was_reached or isinstance(error, ConflictError) or clock.monotonic() + wait > deadline:
                    raise
            self._pause.wait(wait * random.uniform(0.5, 1))  # noqa: S311 - spreads contenders, guards nothing
            wait = min(wait * 2, _LONGEST_WAIT)


def open_engine(address: StoreAddress) -> Engine:
    """Return the engine of a store address; raises `ConfigError` when its driver is not installed."""
    if address.kind == "postgres":
        return _open_postgres(address)
    from lineshaft.engines.sqlite import SqliteEngine

    return SqliteEngine(Path(address.path) if address.path else None, synchronous=address.synchronous)


def _open_postgres(address: StoreAddress) -> Engine:
    try:
        from lineshaft.engines.postgres import PostgresEngine
    except ImportError as error:
        msg = f"a PostgreSQL store needs psycopg ({error}); install it with: pip install 'lineshaft[postgres]'"
        raise ConfigError(msg) from error
    assert address.url is not None
    return PostgresEngine(address.url, schema=address.schema, listen_url=address.listen_url)
