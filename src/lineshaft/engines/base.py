"""What an engine is: the small port through which the store reaches a database.

An engine opens transactions; a transaction runs named statements. Everything that a statement means lives in
the store's `.sql` files; everything that differs between databases outside SQL lives behind these classes.
"""

from __future__ import annotations

import random
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, TypeVar

from lineshaft.clock import SystemClock
from lineshaft.errors import StoreUnavailableError

Row = tuple[Any, ...]
Params = Mapping[str, Any]
Dialect = Literal["sqlite", "postgres"]
Role = Literal["worker", "waiter", "follower"]
T = TypeVar("T")

HEARD: Final[Mapping[Role, tuple[Role, ...]]] = {
    "worker": ("worker",),
    "waiter": ("waiter",),
    "follower": ("waiter", "follower"),
}
"""What the listener of each role hears: jobs that may run; ends of jobs; those, and whatever else happens to jobs."""

_CONFLICT_TRIES: Final = 20
_ROW_KEY: Final = re.compile(r"->> '(\w+)'")
_PLACEHOLDER: Final = {"sqlite": re.compile(r"(?<![:\w]):([a-z_]+)"), "postgres": re.compile(r"%\(([a-z_]+)\)s")}


@dataclass(frozen=True, slots=True)
class Sql:
    """One statement's text in one dialect. SQLite's may be several parts, run in order.

    `rings` names who is woken once it is committed (SQLite; PostgreSQL's text says `pg_notify` itself).
    `is_json` says that the answer is one row with one JSON array of rows: one step of the database, during
    which other threads run, instead of one a row (docs/decisions/0002).
    """

    parts: tuple[str, ...]
    rings: tuple[Role, ...] = ()
    is_json: bool = False
    names: frozenset[str] = field(default=frozenset())
    columns: tuple[str, ...] = ()
    """The keys that a SQLite statement takes of each row of `:rows`. It says `->> 'key'`, which is read as the key's
    place in a JSON array: SQLite finds that in half the time."""

    @classmethod
    def parse(cls, text: str, dialect: Dialect, flags: Sequence[str]) -> Sql:
        """Read a statement's text; flags are the words behind its name: `json`, and `rings-ROLE`."""
        columns = () if dialect == "postgres" else tuple(dict.fromkeys(_ROW_KEY.findall(text)))
        text = _ROW_KEY.sub(lambda key: f"->> {columns.index(key[1])}", text) if columns else text
        parts = [text] if dialect == "postgres" else [part.strip() for part in re.split(r";\s*(?:\n|$)", text)]
        rings: list[Role] = [role for role in HEARD if f"rings-{role}" in flags]
        names = frozenset(_PLACEHOLDER[dialect].findall(text))
        return cls(tuple(p for p in parts if p), tuple(rings), "json" in flags, names, columns)


@dataclass(frozen=True, slots=True)
class Statement:
    """A named statement in both dialects."""

    name: str
    sqlite: Sql
    postgres: Sql


class Tx(Protocol):
    """An open transaction that runs named statements."""

    @property
    def dialect(self) -> Dialect:
        """Which dialect the statements run in."""
        ...

    def run(self, statement: Statement, params: Params, rows: Sequence[Params] | None = None) -> list[Row]:
        """Run a statement and return its rows.

        `params` are its plain parameters; `rows` are many rows of parameters at once, which the statement takes
        as one JSON array (`rows`) or, on PostgreSQL, as one array a column. Raises `StoreError` and, where trying
        again may work, `StoreUnavailableError`.
        """
        ...


class CopyTx(Tx, Protocol):
    """A transaction that can also take in whole tables."""

    def load(self, statement: Statement, rows: Iterable[Row]) -> None:
        """Insert rows as they come, by a statement that names the columns in their order."""
        ...


class MigrationTx(Tx, Protocol):
    """A transaction that can also run the text of a migration."""

    def run_script(self, text: str) -> None:
        """Run schema statements that end in `;` at a line's end."""
        ...


class ConflictError(StoreUnavailableError):
    """Two transactions were in each other's way and this one was rolled back; running it again helps."""


class Listener(ABC):
    """Hears that something happened in the store, from any process."""

    @abstractmethod
    def receive(self, timeout: float | None) -> set[str]:
        """Wait up to `timeout` seconds and return the messages that came: `""` says only "look".

        Raises `StoreUnavailableError` when the connection broke; listen anew after that.
        """

    @abstractmethod
    def interrupt(self) -> None:
        """Have `receive` return at once; from any thread."""

    @abstractmethod
    def close(self) -> None:
        """Stop listening."""


class WorkerLock(ABC):
    """A lock that the database or the operating system drops when its holder dies."""

    @abstractmethod
    def renew(self) -> str:
        """Make sure that the lock is held and return the name of the server incarnation it is held on."""

    @abstractmethod
    def release(self) -> None:
        """Drop the lock."""


class AsyncTransaction(ABC):
    """A transaction on a connection that is awaited; all of it happens on the loop that began it."""

    connection: Any
    """The driver's own connection."""

    @abstractmethod
    async def begin(self) -> Tx:
        """Begin, and return the transaction as the store's operations take it: in another thread than the loop's."""

    @abstractmethod
    async def commit(self) -> None:
        """Commit."""

    @abstractmethod
    async def roll_back(self) -> None:
        """Undo everything."""


class Engine(ABC):
    """One database that holds a store."""

    dialect: Dialect
    address: str
    """Where the store is, fit to be printed: no password."""
    clock: SystemClock
    idle_poll: float
    """Seconds after which an idle worker looks by itself, in case a wake-up was lost."""
    beside_from: int | None = None
    """From how many rows on a write gains by a connection of its own beside the claims; None: never."""
    is_ephemeral: bool = False
    """Whether the store ends with this process."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Tx]:
        """Open a write transaction: committed at the end of the block, rolled back on any error."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[Tx]:
        """Open a transaction that only reads."""

    @abstractmethod
    def listen(self, role: Role) -> Listener:
        """Start to listen for what wakes a worker, or somebody who waits for jobs or follows them."""

    @abstractmethod
    def hold_worker_lock(self, worker: int) -> WorkerLock:
        """Take the lock that says that this worker lives."""

    @abstractmethod
    def dead_workers(self, tx: Tx, workers: Sequence[int]) -> list[int]:
        """Return those of the workers whose lock nobody holds, for as long as the transaction lasts."""

    @abstractmethod
    def migrating(self) -> AbstractContextManager[MigrationTx]:
        """Open a transaction that no other process can migrate beside."""

    @abstractmethod
    def has_schema(self) -> bool:
        """Tell whether a migration ever ran here."""

    @abstractmethod
    def vacuum(self) -> None:
        """Clean up what finished jobs left behind; quick, and harmless beside running workers."""

    @abstractmethod
    def close(self) -> None:
        """Close every connection."""

    def async_transaction(self) -> AsyncTransaction | None:
        """Return a transaction for coroutine functions, None where the driver has none to be awaited."""
        return None

    def write(self, operation: Callable[[Tx], T]) -> T:
        """Run an operation in its own write transaction, again after a serialization failure or a deadlock.

        Raises what the operation raises, and `ConflictError` when the conflict does not end.
        """
        return until_no_conflict(lambda: self._within(self.transaction(), operation))

    def write_apart(self, operation: Callable[[Tx], T]) -> T:
        """Run an operation whose statements may each be a transaction of their own, where the database gains by it.

        What was done before a statement that fails stays done then. Parameters are numbers, texts, booleans and None.
        Raises as `write` does.
        """
        return self.write(operation)

    def read(self, operation: Callable[[Tx], T]) -> T:
        """Run an operation that only reads, again while somebody recovers the database; raises as `write` does."""
        return until_no_conflict(lambda: self._within(self.reading(), operation))

    @staticmethod
    def _within(opened: AbstractContextManager[Tx], operation: Callable[[Tx], T]) -> T:
        with opened as tx:
            return operation(tx)


def until_no_conflict(attempt: Callable[[], T]) -> T:
    """Do something again after a serialization failure or a deadlock, with short waits."""
    for tries_left in reversed(range(_CONFLICT_TRIES)):
        try:
            return attempt()
        except ConflictError:
            if not tries_left:
                raise
            time.sleep(random.uniform(0.001, 0.02))  # noqa: S311 - spreads contenders, guards nothing
    raise AssertionError  # pragma: no cover - the loop returns or raises
