"""Queues that are full: refused, dropped, waited for; changed while everything runs."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import anyio
import pytest

from lineshaft import ConfigError, Job, Lineshaft, QueueFull, Reason, State, Task
from tests.plugins.apps import StartWorker, eventually, own_connection

Note = Task[[str], str, str]
NAME = "default"
each_way = pytest.mark.parametrize("way", ["enqueue", "asyncio", "trio"])


@pytest.fixture
def note(app: Lineshaft) -> Note:
    """A task that returns its text."""
    return _note(app)


def _note(app: Lineshaft) -> Note:
    @app.task(name="note")
    def note(text: str) -> str:
        return text

    return note  # type: ignore[return-value]


def _enqueue(note: Note, text: str, way: str) -> Job[str]:
    return note.enqueue(text) if way == "enqueue" else anyio.run(note.aenqueue, text, backend=way)


@pytest.mark.parametrize(
    "given, advice",
    [
        ({}, "nothing to change; give concurrency, rate, fair, fair_weights, max_depth, max_depth_per_tenant, on_full"),
        ({"max_depth": 0}, "max_depth=0 must be a whole number from 1, or None"),
        ({"max_depth_per_tenant": True}, "max_depth_per_tenant=True must be a whole number"),
        ({"max_depth": 2**31}, "must be a whole number from 1"),
        ({"max_depth": 1, "on_full": "drop"}, "on_full='drop' must be one of 'reject', 'drop_oldest', 'block'"),
        ({"on_full": "block"}, "queue 'default' has no depth limit, so it is never full"),
        ({"max_depth": 1, "block_timeout": "5s"}, "block_timeout says how long on_full='block' waits"),
        ({"max_depth": 1, "on_full": "block", "block_timeout": 0}, "block_timeout=0 waits for nothing"),
        ({"max_depth": 1, "on_full": "block", "block_timeout": "soon"}, "block_timeout='soon' is not a duration"),
    ],
)
def test_wrong_limits_are_refused(app: Lineshaft, given: dict[str, Any], advice: str) -> None:
    """Limits that cannot be are refused in one line that names them, and nothing changes."""
    with pytest.raises(ConfigError) as caught:
        app.queues.update(NAME, **given)
    assert advice in str(caught.value)
    assert "\n" not in str(caught.value)
    assert app.queues.get(NAME).max_depth is None


def test_what_is_not_said_stays(app: Lineshaft) -> None:
    """Each call changes what it names; without any depth left, what was said of a full queue is gone too."""
    app.queues.update(NAME, max_depth=9, on_full="block", block_timeout="5s")
    app.queues.update(NAME, max_depth_per_tenant=3)
    found = app.queues.get(NAME)
    assert (found.max_depth, found.max_depth_per_tenant) == (9, 3)
    assert (found.on_full, found.block_timeout) == ("block", timedelta(seconds=5))
    app.queues.update(NAME, max_depth=None, on_full="drop_oldest")
    found = app.queues.get(NAME)
    assert (found.max_depth, found.on_full, found.block_timeout) == (None, "drop_oldest", None)
    app.queues.update(NAME, max_depth_per_tenant=None)
    app.queues.update(NAME, max_depth=1)
    assert app.queues.get(NAME).on_full == "reject"
    asyncio.run(app.queues.aupdate(NAME, on_full="block"))
    assert app.queues.get(NAME).block_timeout == timedelta(seconds=30)


def test_dropped_jobs_say_why(app: Lineshaft, note: Note) -> None:
    """A job that made room is cancelled, and its reason, `why()` and its follow-up tell of it."""
    old = note.options(on_failure=note.options(queue="other").new("lost")).enqueue("old")
    app.queues.update(NAME, max_depth=1, on_full="drop_oldest")
    new = note.enqueue("new")
    assert (old.refresh().state, old.reason, new.refresh().state) == (State.CANCELLED, Reason.DROPPED, State.QUEUED)
    assert "to make room for a newer one" in str(old.why())
    old.retry()
    assert (old.refresh().state, old.reason) == (State.QUEUED, None)


def test_drop_in_a_callers_transaction(durable_app: Lineshaft) -> None:
    """What makes room is cancelled with the caller's transaction, or not at all."""
    note = _note(durable_app)
    old = note.enqueue("old")
    durable_app.queues.update(NAME, max_depth=1, on_full="drop_oldest")
    with own_connection(durable_app) as connection:
        note.enqueue("rolled back", connection=connection)
        connection.rollback()
        assert old.refresh().state is State.QUEUED
        note.enqueue("committed", connection=connection)
        connection.commit()
    assert old.refresh().state is State.CANCELLED


@each_way
def test_blocked_enqueue_wakes_when_there_is_room(app: Lineshaft, note: Note, way: str) -> None:
    """An enqueue into a full queue that blocks waits, and goes on when there is room; its job is stored once."""
    app.queues.update(NAME, max_depth=1, on_full="block", block_timeout="30s")
    first = note.enqueue("first")
    tried = threading.Event()
    room = app._intake._enqueuer
    insert = room.insert

    def watched(*args: Any, **kwargs: Any) -> Any:
        try:
            return insert(*args, **kwargs)
        finally:
            tried.set()

    room.insert = watched  # type: ignore[method-assign]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(_enqueue, note, "second", way)
        assert tried.wait(20)
        assert not waiting.done()
        assert app.jobs.count() == 1
        first.cancel()
        assert waiting.result(20).refresh().state is State.QUEUED
    assert app.jobs.count(queue=NAME, state="queued") == 1


@each_way
def test_blocked_enqueue_gives_up(app: Lineshaft, note: Note, way: str) -> None:
    """When the time-out is over first, `QueueFull` is raised and nothing was stored."""
    app.queues.update(NAME, max_depth=1, on_full="block", block_timeout="200ms")
    note.enqueue("first")
    with pytest.raises(QueueFull, match="may be waited for up to 200ms"):
        _enqueue(note, "second", way)
    assert app.jobs.count() == 1


def test_blocked_many_drain_through_a_small_queue(app: Lineshaft, note: Note, start_worker: StartWorker) -> None:
    """Many producers of a queue of two places that blocks all get their jobs in, while a worker makes room."""
    app.queues.update(NAME, max_depth=2, on_full="block", block_timeout="60s")
    start_worker(app)
    with ThreadPoolExecutor(6) as pool:
        jobs = list(pool.map(note.enqueue, map(str, range(30))))
    eventually(lambda: app.jobs.count(state="completed") == len(jobs))


def test_no_waiting_inside_a_transaction(durable_app: Lineshaft) -> None:
    """Where waiting would hold a transaction open, or time stands still, a queue that blocks refuses at once."""
    note = _note(durable_app)
    durable_app.queues.update(NAME, max_depth=1, on_full="block", block_timeout="1h")
    note.enqueue("first")
    with durable_app.transaction(), pytest.raises(QueueFull):
        note.enqueue("joined")
    with own_connection(durable_app) as connection, pytest.raises(QueueFull):
        note.enqueue("the caller's", connection=connection)
    with durable_app.testing("manual"):
        durable_app.queues.update(NAME, max_depth=1, on_full="block", block_timeout="1h")
        note.enqueue("first")
        with pytest.raises(QueueFull):
            note.enqueue("in a test")
        with pytest.raises(QueueFull):
            asyncio.run(note.aenqueue("in a test"))


def test_limits_change_while_clients_run(app: Lineshaft, note: Note) -> None:
    """A limit that somebody changes counts for the next enqueue of a client that knew nothing of it."""
    note.enqueue_many(["one", "two"])
    app.queues.update(NAME, max_depth=2)
    with pytest.raises(QueueFull):
        note.enqueue("three")
    app.queues.update(NAME, on_full="drop_oldest")
    note.enqueue("three")
    app.queues.update(NAME, max_depth=None)
    note.enqueue("four")
    assert app.jobs.count(state="queued") == 3
