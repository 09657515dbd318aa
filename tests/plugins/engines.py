"""A store on every engine, jobs in any state, and races: what tests of the store start from.

`engine` runs a test on a SQLite file, on SQLite in memory and on PostgreSQL; `durable_engine` leaves memory out, for
what concerns several processes. The store's schema is in place.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

import pytest

from lineshaft.app import store as store_module
from lineshaft.clock import HOUR, SECOND
from lineshaft.config import parse_store
from lineshaft.ids import new_id
from lineshaft.outcomes import JobError
from lineshaft.store import control, inspect
from lineshaft.store.claim import claim_jobs, expire_overdue
from lineshaft.store.enqueue import insert_jobs
from lineshaft.store.finish import write_transitions
from lineshaft.store.migrate import migrate
from lineshaft.transitions import Close, Complete, Held, PutBack, Reason, Stage, State, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lineshaft.engines.base import Engine, Tx
    from lineshaft.job import JobRow
    from lineshaft.store.enqueue import NewRow
    from lineshaft.transitions import Transition

NOW: Final = 1_800_000_000 * SECOND
KEPT_UNTIL: Final = NOW + 48 * HOUR
WORKER: Final = 7
ERROR: Final = JobError(1, "ValueError", "no such page", None, NOW)
LIMIT_SECONDS: Final = 20.0
"""How long a test waits for an event that has to come; it comes within milliseconds."""

T = TypeVar("T")


def open_engine(address: str) -> Engine:
    """Open a store by its address, as an application does."""
    return store_module.open_engine(parse_store(address))


def new_row(**columns: Any) -> NewRow:
    """Return a job about to be stored: ready now, in the queue `default`, unless the columns say otherwise."""
    row: dict[str, Any] = {
        "id": new_id(), "queue": "default", "name": "shop.render", "rank": 0, "run_at": NOW, "stage": int(Stage.READY),
        "created_at": NOW, "max_attempts": 3, "deadline": None, "tenant": None, "tags": None, "meta": None,
        "options": None, "context": None, "args": "[[],{}]",
    }  # fmt: skip
    return cast("NewRow", row | columns)


def store_rows(engine: Engine, *rows: NewRow, is_resend: bool = False) -> None:
    """Enqueue in a transaction of its own."""
    engine.write(lambda tx: insert_jobs(tx, rows, is_resend=is_resend))


def claim_held(engine: Engine, *, queue: str = "default", limit: int = 1, worker: int = WORKER) -> list[Held]:
    """Claim in a transaction of its own."""
    claimed = engine.write(lambda tx: claim_jobs(tx, queue=queue, limit=limit, worker=worker, now=NOW))
    return [one.held for one in claimed]


def finish(engine: Engine, *transitions: Transition, worker: int = WORKER, now: int = NOW) -> list[Transition]:
    """Write transitions in a transaction of its own and return those that took effect."""
    return engine.write(
        lambda tx: write_transitions(tx, transitions, worker=worker, now=now, keep=lambda _: KEPT_UNTIL)
    )


def row_of(engine: Engine, job_id: str) -> JobRow:
    """Return a job that must be there."""
    row = engine.read(lambda tx: inspect.get_job(tx, job_id))
    assert row is not None, f"job {job_id} is not stored"
    return row


def state_in(engine: Engine, job_id: str) -> State:
    """Return the public state of a stored job."""
    row = row_of(engine, job_id)
    return state_of(row.stage, is_held=row.worker is not None, is_cancel_requested=bool(row.cancel_requested))


@dataclass(frozen=True)
class Made:
    """A job that a test asked for."""

    id: str
    claimed: Held | None = None

    @property
    def held(self) -> Held:
        """What its worker holds, or held last."""
        assert self.claimed is not None, f"job {self.id} was never claimed"
        return self.claimed


class MakeJob(Protocol):
    """Stores a job in a state, by the store's own operations, with these columns."""

    def __call__(self, state: State = State.QUEUED, **columns: Any) -> Made:
        """Store it and say what it is; `KeyError` for a state that the store does not know yet."""


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> Iterator[Engine]:
    """A store in a SQLite file."""
    yield from _store(f"sqlite:///{tmp_path / 'jobs.db'}")


@pytest.fixture
def memory_engine() -> Iterator[Engine]:
    """A store in this process's memory."""
    yield from _store("memory://")


@pytest.fixture
def postgres_engine(postgres_url: str) -> Iterator[Engine]:
    """A store in a schema of a real PostgreSQL server."""
    yield from _store(postgres_url)


@pytest.fixture(params=["sqlite", "memory", "postgres"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """A store on each engine in turn."""
    found: Engine = request.getfixturevalue(f"{request.param}_engine")
    return found


@pytest.fixture(params=["sqlite", "postgres"])
def durable_engine(request: pytest.FixtureRequest) -> Engine:
    """A store that several processes can share, on each engine in turn."""
    found: Engine = request.getfixturevalue(f"{request.param}_engine")
    return found


@pytest.fixture
def address(request: pytest.FixtureRequest, durable_engine: Engine) -> str:
    """The address by which another process reaches the store."""
    if durable_engine.dialect == "sqlite":
        return durable_engine.address
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def tx(engine: Engine) -> Iterator[Tx]:
    """An open write transaction."""
    with engine.transaction() as opened:
        yield opened


@pytest.fixture
def make_job(request: pytest.FixtureRequest) -> MakeJob:
    """Stores jobs in any state on the test's engine."""
    names = [name for name in ("engine", "durable_engine") if name in request.fixturenames]
    return _Maker(request.getfixturevalue(names[0]))


@pytest.fixture
def race() -> Callable[[int, Callable[[int], T]], list[T]]:
    """Runs `fn(0) … fn(n - 1)` in threads that start at the same moment and returns their results in that order."""

    def run(n: int, fn: Callable[[int], T]) -> list[T]:
        start = threading.Barrier(n)

        def one(number: int) -> T:
            start.wait(LIMIT_SECONDS)
            return fn(number)

        with ThreadPoolExecutor(n) as threads:
            return list(threads.map(one, range(n), timeout=LIMIT_SECONDS))

    return run


class Child:
    """Another Python process, which speaks by lines."""

    def __init__(self, script: str, *args: str) -> None:
        self._said: str | None = None
        root = Path(__file__).parents[2]
        prelude = f"import sys; sys.path.insert(0, {str(root)!r})\n"
        self._process = subprocess.Popen(
            [sys.executable, "-c", prelude + script, *args],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def line(self) -> str:
        """Wait for the next line that the process prints; a process that ends instead fails the test."""
        assert self._process.stdout is not None
        found = self._process.stdout.readline().rstrip("\n")
        assert found, f"the child said nothing more: {self.end()}"
        return found

    def say(self, line: str) -> None:
        """Send the process a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """Kill the process as the system would, and wait until it is gone."""
        self._process.kill()
        self._process.wait(LIMIT_SECONDS)

    def end(self) -> str:
        """End the process's input, wait for its end and return what it still said."""
        if self._said is None:
            out, err = self._process.communicate(timeout=LIMIT_SECONDS)
            self._said = (out + err).strip()
        return self._said


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    """Starts Python processes that end with the test."""
    started: list[Child] = []

    def start(script: str, *args: str) -> Child:
        started.append(Child(script, *args))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.end()


def _store(address: str) -> Iterator[Engine]:
    engine = open_engine(address)
    migrate(engine)
    yield engine
    engine.close()


class _Maker:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self, state: State = State.QUEUED, **columns: Any) -> Made:
        row = new_row(**(_COLUMNS.get(state, {}) | columns))
        store_rows(self._engine, row)
        if state in _WAITING:
            return Made(row["id"])
        if state is State.EXPIRED:
            self._engine.write(lambda tx: expire_overdue(tx, now=NOW, expires_at=KEPT_UNTIL))
            return Made(row["id"])
        held = self._claim(row)
        if state in _AFTER_CLAIM:
            finish(self._engine, _AFTER_CLAIM[state](held))
        elif state is State.CANCELLING:
            self._engine.write(lambda tx: control.cancel_jobs(tx, [held.id], now=NOW, expires_at=KEPT_UNTIL))
        return Made(row["id"], held)

    def _claim(self, row: NewRow) -> Held:
        [held] = claim_held(self._engine, queue=row["queue"])
        assert held.id == row["id"], "another job of the queue came first: make the running job first, or give a queue"
        return held


_WAITING: Final = (State.QUEUED, State.SCHEDULED)
_COLUMNS: Final[dict[State, dict[str, Any]]] = {
    State.SCHEDULED: {"stage": int(Stage.SCHEDULED), "run_at": NOW + HOUR},
    State.EXPIRED: {"deadline": NOW - 1},
}
_AFTER_CLAIM: Final[dict[State, Callable[[Held], Transition]]] = {
    State.COMPLETED: lambda held: Complete(held, '"done"'),
    State.DEAD: lambda held: Close(held, Stage.DEAD, Reason.ERROR, ERROR),
    State.CANCELLED: lambda held: Close(held, Stage.CANCELLED, None, None),
    State.RETRYING: lambda held: PutBack(held, Stage.RETRYING, NOW + HOUR, ERROR),
}
