"""A worker that was declared dead finishes, beats or claims while another one rescues its jobs, in every order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import combinations_with_replacement
from queue import SimpleQueue
from typing import Any, Final

import pytest

from lineshaft.clock import HOUR, SECOND
from lineshaft.config import Retention, load_settings
from lineshaft.engines.base import Engine, Tx
from lineshaft.events import Subscribers
from lineshaft.store.claim import claim_jobs
from lineshaft.store.migrate import migrate
from lineshaft.store.upkeep import Suspect, beat, register_worker
from lineshaft.transitions import Complete, Held, State, Transition
from lineshaft.worker.rescuer import Rescuer
from tests.plugins.engines import finish, new_row, open_engine, row_of, state_in, store_rows

LIMIT: Final = 20.0
BLOCKED: Final = 0.03
_MANY: Final = 50
"""Seconds after which a step that has not ended is taken to wait for the other side."""
RESCUE_STEPS: Final = 7
"""begin, read, put back, commit; begin, read, commit; what follows only removes the worker's row."""


class Actor:
    """One side: its store calls stop before each begin, statement and commit until they are let go on."""

    def __init__(self, engine: Engine, act: Callable[[Engine], Any]) -> None:
        self._engine, self._act = engine, act
        self._go: SimpleQueue[None] = SimpleQueue()
        self._came = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._work)
        self.answer: Any = None
        self._thread.start()
        assert self._came.acquire(timeout=LIMIT)

    def step(self) -> None:
        """Let it go on by one step; returns when it has come to the next one, has ended, or waits for the other."""
        self._go.put(None)
        self._came.acquire(timeout=BLOCKED)

    def let_go(self) -> None:
        """Let it go on to its end."""
        for _ in range(_MANY):
            self._go.put(None)

    def end(self) -> Any:
        """Wait for its end and return its answer."""
        self._thread.join(LIMIT)
        assert not self._thread.is_alive(), "the two sides wait for each other"
        return self.answer

    def _work(self) -> None:
        original = type(self._engine).transaction

        @contextmanager
        def transaction() -> Iterator[Tx]:
            self._pause()
            with original(self._engine) as tx:
                run = tx.run

                def stepping(*args: Any) -> Any:
                    self._pause()
                    return run(*args)

                tx.run = stepping  # type: ignore[method-assign]
                yield tx
                self._pause()

        self._engine.transaction = transaction  # type: ignore[method-assign]
        try:
            self.answer = self._act(self._engine)
        finally:
            del self._engine.transaction
            self._came.release()

    def _pause(self) -> None:
        self._came.release()
        self._go.get(timeout=LIMIT)


@pytest.fixture
def engines(durable_url: str) -> Iterator[tuple[Engine, Engine, Engine]]:
    """Three processes' engines on one store: the worker's, the rescuer's, the test's."""
    opened = tuple(open_engine(durable_url) for _ in range(3))
    migrate(opened[0])
    yield opened
    for one in opened:
        one.close()


def silent_worker(engine: Engine) -> tuple[Suspect, Held]:
    """Store a worker whose heartbeat is old, and a job that it holds."""
    now = engine.clock.now()
    number = engine.write(
        lambda tx: register_worker(
            tx, host="away", pid=1, version="0", queues={"default": 1}, tasks=[], now=now - HOUR
        )
    )  # fmt: skip
    store_rows(engine, new_row(run_at=now - SECOND))
    [claimed] = engine.write(lambda tx: claim_jobs(tx, queue="default", limit=1, worker=number, now=now))
    return Suspect(number, True, "away", 1), claimed.held


def rescue(gone: Suspect) -> Callable[[Engine], int]:
    """Return what another worker does when it finds this one dead."""

    def act(engine: Engine) -> int:
        return Rescuer(engine, -1, load_settings({}, {}), Retention(), Subscribers())._rescue(gone)

    return act


def complete(held: Held) -> Callable[[Engine], list[Transition]]:
    """Return what the worker does that has ended the job."""
    return lambda engine: finish(engine, Complete(held, '"late"'), worker=held.worker, now=engine.clock.now())


def schedules(steps: int) -> Iterator[list[int]]:
    """Return every way to place the worker's steps: for each, the step of the rescue that it comes before."""
    yield from (list(one) for one in combinations_with_replacement(range(RESCUE_STEPS + 1), steps))


def play(rescuer: Actor, worker: Actor, places: list[int]) -> None:
    """Run both sides in the given order, then to their ends."""
    for turn in range(RESCUE_STEPS + 1):
        for _ in range(places.count(turn)):
            worker.step()
        rescuer.step()
    rescuer.let_go()
    worker.let_go()


@pytest.mark.chaos
@pytest.mark.timeout(180)
def test_rescue_against_finish_in_every_order(engines: tuple[Engine, Engine, Engine]) -> None:
    """However the steps of a rescue and of a finish fall together, exactly one of them has the job."""
    workers, rescuers, mine = engines
    seen = set()
    for places in schedules(3):
        gone, held = silent_worker(mine)
        rescuer, worker = Actor(rescuers, rescue(gone)), Actor(workers, complete(held))
        play(rescuer, worker, places)
        rescuer.end()
        written = worker.end()
        state = state_in(mine, held.id)
        seen.add(state)
        assert (state is State.COMPLETED) == bool(written), f"{places}: {state} although the worker wrote {written}"
        assert state in (State.COMPLETED, State.QUEUED), f"{places}: {state}"
        if state is State.QUEUED:
            run_again(mine, held)
        assert complete(held)(workers) == written, f"{places}: a second send of the finish was answered otherwise"
    assert seen == {State.COMPLETED, State.QUEUED}, "one side has always won: the orders were not tried"


def run_again(engine: Engine, stale: Held) -> None:
    """Run the rescued job, and let the first worker try once more in between."""
    [claimed] = engine.write(lambda tx: claim_jobs(tx, queue="default", limit=1, worker=99, now=engine.clock.now()))
    assert claimed.held.id == stale.id
    assert complete(stale)(engine) == []
    assert len(finish(engine, Complete(claimed.held, '"heir"'), worker=99, now=engine.clock.now())) == 1
    assert row_of(engine, stale.id).result == '"heir"'


def test_two_rescuers_put_a_job_back_once(engines: tuple[Engine, Engine, Engine]) -> None:
    """However the steps of two rescues of the same worker fall together, the job is put back once and loses nothing."""
    first, second, mine = engines
    for places in ([0, 0], [1, 1], [2, 2], [0, 2], [1, 3], [2, 3], [3, 3], [2, 5]):
        gone, held = silent_worker(mine)
        one, other = Actor(first, rescue(gone)), Actor(second, rescue(gone))
        play(one, other, places)
        one.end()
        other.end()
        row = row_of(mine, held.id)
        assert (row.worker, row.attempt, row.claim, len((row.errors or "").splitlines())) == (None, 0, 1, 1), places
        mine.write(lambda tx: claim_jobs(tx, queue="default", limit=1, worker=99, now=mine.clock.now()))


def test_rescue_against_heartbeat(engines: tuple[Engine, Engine, Engine]) -> None:
    """A heartbeat that falls together with a rescue either says that the worker is dead or is the last one it has."""
    workers, rescuers, mine = engines
    for places in schedules(1):
        gone, held = silent_worker(mine)
        now = mine.clock.now()

        def renew(engine: Engine, gone: Suspect = gone, now: int = now) -> bool:
            return engine.write(lambda tx: beat(tx, worker=gone.id, server="", now=now))

        rescuer, worker = Actor(rescuers, rescue(gone)), Actor(workers, renew)
        play(rescuer, worker, places)
        assert rescuer.end() == 1
        worker.end()
        assert not renew(mine), "a worker whose jobs were rescued must hear that it is dead"
        assert complete(held)(workers) == []
        run_again(mine, held)


def test_claim_of_a_worker_that_was_rescued_meanwhile(engines: tuple[Engine, Engine, Engine]) -> None:
    """What a worker claims while it is being declared dead is put back by the rescue, or found by the next sweep."""
    workers, rescuers, mine = engines
    for places in schedules(1):
        gone, held = silent_worker(mine)
        store_rows(mine, new_row(run_at=mine.clock.now() - SECOND))

        def claim(engine: Engine, gone: Suspect = gone) -> Any:
            return engine.write(
                lambda tx: claim_jobs(tx, queue="default", limit=1, worker=gone.id, now=engine.clock.now())
            )

        rescuer, worker = Actor(rescuers, rescue(gone)), Actor(workers, claim)
        play(rescuer, worker, places)
        rescuer.end()
        worker.end()
        Rescuer(mine, -1, load_settings({}, {}), Retention(), Subscribers()).sweep()
        again = mine.write(lambda tx: claim_jobs(tx, queue="default", limit=9, worker=99, now=mine.clock.now()))
        assert len(again) == 2, f"{places}: a job stayed with the dead worker"
        finish(mine, *(Complete(one.held, None) for one in again), worker=99, now=mine.clock.now())
        assert row_of(mine, held.id).result is None
