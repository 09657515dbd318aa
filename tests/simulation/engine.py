# ruff: noqa: D102 - the methods of an engine, a listener and a doorbell are described where they are defined
"""The store as a simulated process sees it: the real one, with faults around each transaction."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, TypeVar

from greenlet import GreenletExit

from lineshaft.clock import SystemClock
from lineshaft.engines.base import (
    ConflictError,
    Engine,
    Listener,
    MigrationTx,
    Params,
    Role,
    Row,
    Statement,
    Tx,
    WorkerLock,
)
from lineshaft.engines.sqlite import SqliteEngine
from lineshaft.engines.sqlite.doorbell import Doorbell
from lineshaft.errors import StoreUnavailableError
from tests.simulation.threads import SECOND, Event, Process, Schedule

T = TypeVar("T")

IDLE_POLL: Final = 10.0


class HostClock(SystemClock):
    """The simulated time, as one host reads it."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self._schedule = schedule
        self.skew = 0
        """Microseconds that its wall clock goes before the true time."""

    def now(self) -> int:
        return self._schedule.wall + self.skew

    def monotonic(self) -> float:
        return self._schedule.now / SECOND


class Faults:
    """What may go wrong with a process's calls of the store, and how often."""

    def __init__(self, schedule: Schedule, host: Process | None, note: Callable[[str], None]) -> None:
        self._schedule, self._host, self._note = schedule, host, note
        self.rate = 0.0
        """The share of transactions with a fault."""
        self.is_away = False
        """Whether the store does not answer at all."""
        self.dies_at: str | None = None
        """The boundary of a transaction, `before`, `within` or `after` its commit, at which the process dies next."""
        self.die: Callable[[], None] = lambda: None

    def at(self, boundary: str) -> None:
        """Let others run, and fail or die here if that is due."""
        if self._host is not None and self._host.is_dead:
            raise GreenletExit
        if self.dies_at == boundary:
            self._note(f"dies {boundary} a commit")
            self.die()
            raise GreenletExit
        if boundary != "within":
            self._schedule.give_way()
        if self.is_away and boundary == "before":
            raise StoreUnavailableError("the simulated store is away")
        if self.rate and self._schedule.random.random() < self.rate / 3:
            self._fail(boundary)

    def _fail(self, boundary: str) -> None:
        kind = self._schedule.random.random()
        if boundary != "within" and kind < 0.3:
            self._schedule.sleep(self._schedule.random.uniform(0.001, 2.0))
            return
        self._note(f"a store call fails {boundary} its commit")
        if boundary != "after" and kind < 0.6:
            raise ConflictError("a simulated conflict")
        raise StoreUnavailableError(f"a simulated failure {boundary} the commit")


class WatchedTx:
    """Tells who looks on which jobs a transaction claims."""

    dialect = "sqlite"

    def __init__(self, tx: Any, on_claim: Callable[[Any, list[Row], str, int], None]) -> None:
        self._tx, self._on_claim = tx, on_claim
        self.connection = tx.connection

    def run(self, statement: Statement, params: Params, rows: Sequence[Params] | None = None) -> list[Row]:
        found: list[Row] = self._tx.run(statement, params, rows)
        if statement.name == "claim_jobs" and found:
            self._on_claim(self._tx, found, params["queue"], params["worker"])
        return found


class SimulatedEngine(Engine):
    """One process's engine."""

    dialect = "sqlite"
    idle_poll = IDLE_POLL

    def __init__(self, store: SqliteEngine, clock: HostClock, faults: Faults, on_claim: Callable[..., None]) -> None:
        self.store, self.clock, self.faults, self._on_claim = store, clock, faults, on_claim
        self.address = store.address
        self.lock: WorkerLock | None = None

    @contextmanager
    def transaction(self) -> Iterator[Tx]:
        self.faults.at("before")
        with self.store.transaction() as tx:
            yield WatchedTx(tx, self._on_claim)  # type: ignore[misc]
            self.faults.at("within")
        self.faults.at("after")

    @contextmanager
    def reading(self) -> Iterator[Tx]:
        self.faults.at("before")
        with self.store.reading() as tx:
            yield tx

    def write_apart(self, operation: Callable[[Tx], T]) -> T:
        def watched(tx: Any) -> T:
            found = operation(WatchedTx(tx, self._on_claim))  # type: ignore[arg-type]
            if tx.connection.in_transaction:
                self.faults.at("within")
            return found

        self.faults.at("before")
        found = self.store.write_apart(watched)
        self.faults.at("after")
        return found

    def listen(self, role: Role) -> Listener:
        self.faults.at("before")
        return self.store.listen(role)

    def hold_worker_lock(self, worker: int) -> WorkerLock:
        self.lock = self.store.hold_worker_lock(worker)
        return self.lock

    def dead_workers(self, tx: Tx, workers: Sequence[int]) -> list[int]:
        return self.store.dead_workers(tx, workers)

    def migrating(self) -> AbstractContextManager[MigrationTx]:
        return self.store.migrating()

    def has_schema(self) -> bool:
        return True

    def vacuum(self) -> None:
        self.store.vacuum()

    def close(self) -> None:
        """Nothing of its own is open."""


class LossyDoorbell(Doorbell):
    """Wakes listeners late, twice or never, as the seed says."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._listeners: weakref.WeakSet[_Ear] = weakref.WeakSet()
        self._order: list[weakref.ref[_Ear]] = []
        self.rate = 0.0
        """The share of wake-ups that go wrong."""

    def bind(self, role: Role) -> Listener:
        ear = _Ear(self._schedule, role)
        self._order.append(weakref.ref(ear))
        return ear

    def ring(self, role: Role, queue: str = "") -> None:
        self._order = [one for one in self._order if (ear := one()) is not None and not ear.is_closed]
        for reference in self._order:
            ear = reference()
            if ear is not None and ear.role == role:
                self._ring(ear, queue)

    def _ring(self, ear: _Ear, queue: str) -> None:
        draw = self._schedule.random.random() if self.rate else 1.0
        if draw < self.rate / 2:
            return
        if draw < self.rate:
            ear.delay = self._schedule.random.uniform(0.01, 8.0)
        ear.rings += [queue] * (1 + (draw < self.rate * 0.75))
        ear.rung.set()

    def close(self) -> None:
        """Nothing is held."""


class _Ear(Listener):
    def __init__(self, schedule: Schedule, role: Role) -> None:
        self._schedule, self.role = schedule, role
        self.rung = Event(schedule)
        self.rings: list[str] = []
        self.delay = 0.0
        self.is_closed = False

    def receive(self, timeout: float | None) -> set[str]:
        self.rung.wait(timeout)
        if self.delay:
            delay, self.delay = self.delay, 0.0
            self._schedule.sleep(delay)
        heard, self.rings = self.rings[:1], self.rings[1:]
        if not self.rings:
            self.rung.clear()
        return set(heard)

    def interrupt(self) -> None:
        self.rung.set()

    def close(self) -> None:
        self.is_closed = True
