"""Large batches of outcomes, written beside the claims."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lineshaft import Lineshaft
from lineshaft.config import Retention
from lineshaft.engines.postgres import PostgresEngine
from lineshaft.engines.sqlite import SqliteEngine
from lineshaft.errors import StoreUnavailableError
from lineshaft.transitions import Transition
from lineshaft.worker.exchange import Exchange
from lineshaft.worker.finisher import Batch, Finisher
from lineshaft.worker.loop import StoreLoop
from lineshaft.worker.writer import Writer
from tests.plugins.apps import LIMIT, StartWorker, eventually


@pytest.fixture(autouse=True)
def every_batch_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each engine write beside the claims whatever has ended."""
    for engine in (SqliteEngine, PostgresEngine):
        monkeypatch.setattr(engine, "beside_from", 1)


class Held:
    """Holds up the first batch that is written beside, before its transaction begins."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.let_go = threading.Event(), threading.Event()
        self.error: Exception | None = None
        original = Exchange.write

        def write(exchange: Exchange, batch: Batch) -> list[Transition]:
            if not self.begun.is_set():
                self.begun.set()
                assert self.let_go.wait(LIMIT)
                if self.error is not None:
                    raise self.error
            return original(exchange, batch)

        monkeypatch.setattr(Exchange, "write", write)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    """The first batch, held up until the test lets it go."""
    one = Held(monkeypatch)
    yield one
    one.let_go.set()


@pytest.fixture
def enqueue(app: Lineshaft) -> Callable[[int], Any]:
    """Enqueue a job that returns its number."""

    @app.task(name="echo")
    def echo(number: int) -> int:
        return number

    return echo.enqueue


def test_claims_go_on_while_a_batch_is_written(
    app: Lineshaft, start_worker: StartWorker, enqueue: Callable[[int], Any], held: Held
) -> None:
    """Jobs are claimed and run while a large batch is on its way into the store, and all are finished in the end."""
    started: list[str] = []
    app.on("started")(lambda event: started.append(event.job_id))
    first = enqueue(0)
    start_worker(app, {"default": 1})
    assert held.begun.wait(LIMIT)
    others = [enqueue(number) for number in range(1, 4)]
    eventually(lambda: {one.id for one in others} <= set(started))
    assert first.refresh().state == "running"
    held.let_go.set()
    assert [one.result(LIMIT) for one in (first, *others)] == [0, 1, 2, 3]


def test_a_batch_that_fails_is_written_again(
    app: Lineshaft, start_worker: StartWorker, enqueue: Callable[[int], Any], held: Held
) -> None:
    """What could not be written beside the claims is kept and written when the store is back, in the first attempt."""
    held.error = StoreUnavailableError("gone for a test")
    job = enqueue(7)
    start_worker(app, {"default": 1})
    assert held.begun.wait(LIMIT)
    held.let_go.set()
    assert job.result(LIMIT) == 7
    assert job.attempt == 1


def test_a_stop_waits_for_the_batch(
    app: Lineshaft, start_worker: StartWorker, enqueue: Callable[[int], Any], held: Held
) -> None:
    """A worker that is told to stop ends behind the batch that is being written, which is kept."""
    job = enqueue(7)
    worker = start_worker(app, {"default": 1})
    assert held.begun.wait(LIMIT)
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    held.let_go.set()
    stopping.join(LIMIT)
    assert not stopping.is_alive()
    assert job.refresh().state == "completed"


def test_a_stop_waits_for_what_ended_beside_the_batch(
    app: Lineshaft, start_worker: StartWorker, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no batch has taken yet is written too: nobody runs again what has run."""
    looked, look = threading.Event(), StoreLoop._tell_empty
    ran: list[int] = []

    def look_and_say(loop: StoreLoop) -> None:
        look(loop)
        if not loop._claimer.is_open and loop._finisher.taken == len(others):
            looked.set()

    monkeypatch.setattr(StoreLoop, "_tell_empty", look_and_say)
    note = app.task(name="note")(ran.append)
    first = note.enqueue(0)
    worker = start_worker(app, {"default": 1})
    assert held.begun.wait(LIMIT)
    others = [note.enqueue(number) for number in range(1, 4)]
    eventually(lambda: len(ran) == 1 + len(others))
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    assert looked.wait(LIMIT)
    held.let_go.set()
    stopping.join(LIMIT)
    assert not stopping.is_alive()
    assert {(str(one.refresh().state), one.attempt) for one in (first, *others)} == {("completed", 1)}


def test_the_same_outcome_is_never_in_two_batches(finisher: Finisher) -> None:
    """What is under way is not handed out again; what is given back is, before what ended meanwhile."""
    batch = finisher.begin()
    assert not finisher.is_empty
    assert finisher.taken == 0
    finisher.give_back(batch)
    again = finisher.begin()
    finisher.settle(again, [], 0)
    assert finisher.is_empty


@pytest.fixture
def finisher(app: Lineshaft) -> Finisher:
    """A finisher that nothing was delivered to."""
    runtime = app.runtime()
    return Finisher(1, runtime.engine.clock, Retention(), runtime.subscribers, lambda: None)


def test_a_batch_is_collected_once() -> None:
    """Whoever collects gets what became of the batch when it is there, an error too, and only once."""
    gate, rang = threading.Event(), threading.Event()
    error = StoreUnavailableError("gone for a test")

    def write(_: Batch) -> list[Transition]:
        assert gate.wait(LIMIT)
        raise error

    writer = Writer(write, rang.set)
    batch = Batch([], [])
    writer.begin(batch)
    assert writer.is_busy
    assert writer.collect() is None
    gate.set()
    assert rang.wait(LIMIT)
    written = writer.collect()
    assert written is not None
    assert (written.batch, written.error) == (batch, error)
    assert writer.collect() is None
    assert not writer.is_busy
    writer.close()
