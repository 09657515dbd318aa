"""The places of a queue, and two lanes that share them: the limit, the order, and jobs taken ahead."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft import Lineshaft
from lineshaft.clock import SystemClock
from lineshaft.options import Options
from lineshaft.store.claim import Claimed
from lineshaft.task import Task
from lineshaft.transitions import Held
from lineshaft.worker.lanes.places import Places
from lineshaft.worker.run import Run
from tests.plugins.apps import LIMIT, Gates, StartWorker, eventually

if TYPE_CHECKING:
    from lineshaft.app.inprocess import InProcessWorker


class Row:
    """A lane without threads: it starts what it can when it is woken, and ends what it is told to."""

    def __init__(self, places: Places) -> None:
        self.places, self.waiting, self.running = places, deque[Run](), 0
        self.started: list[str] = []

    def foremost(self) -> Run | None:
        """Return the job in front."""
        return self.waiting[0] if self.waiting else None

    def wake(self) -> None:
        """Start what has a place."""
        while self.waiting and self.places.take(self):
            self._start()
        if not self.waiting:
            self.places.decline(self)

    def submit(self, run: Run) -> None:
        """Take a job."""
        self.waiting.append(run)
        self.wake()

    def withdraw(self) -> None:
        """Forget what waits."""
        self.waiting.clear()

    def end_one(self) -> None:
        """End a job, and start the next or let another lane do so."""
        if not self.running:
            return
        self.running -= 1
        if not self.waiting:
            self.places.give()
        elif self.places.are_wanted_before(self.waiting[0]):
            self.places.want(self)
            self.places.give()
        else:
            self._start()

    def _start(self) -> None:
        self.started.append(self.waiting.popleft().id)
        self.running += 1


def run_at(number: int) -> Run:
    def nothing() -> None:
        """Do nothing."""

    held = Held(f"{number:032x}", 1, 1, 1, 0, 0, None, 0, None)
    claimed = Claimed(held, "nothing", "", 0, number, False, False, 1, "default", None, None, None, None, None)
    return Run(claimed, Task(nothing, "nothing", Options()), Options(), SystemClock())


ACTS = st.lists(st.tuples(st.sampled_from(["submit", "end_one", "withdraw"]), st.integers(0, 2)), max_size=60)


@given(limit=st.integers(1, 4), acts=ACTS)
def test_places_are_never_doubled_and_never_lost(limit: int, acts: list[tuple[str, int]]) -> None:
    """Whatever lanes do, no more jobs run than there are places, and no job waits while a place is free."""
    places = Places(limit)
    rows = [Row(places) for _ in range(3)]
    for number, (act, which) in enumerate(acts):
        if act == "submit":
            rows[which].submit(run_at(number))
        else:
            getattr(rows[which], act)()
        running = sum(row.running for row in rows)
        assert running <= limit
        assert running == limit or not any(row.waiting for row in rows)
    for row in rows:
        row.withdraw()
        while row.running:
            row.end_one()
    taken = 0
    while places.take(rows[0]):
        taken += 1
    assert taken == limit


def test_a_free_place_goes_to_the_job_that_comes_first() -> None:
    """Of several lanes that wait, the one whose job comes first in the queue's order gets the place."""
    places = Places(1)
    busy, late, early = (Row(places) for _ in range(3))
    busy.submit(run_at(0))
    late.submit(run_at(3))
    early.submit(run_at(1))
    busy.submit(run_at(2))
    for row in (busy, early, busy):
        row.end_one()
    assert [len(row.started) for row in (busy, early, late)] == [2, 1, 1]
    assert late.running == 1


class Crowd:
    """Counts the jobs that run at this moment, whichever lane they run in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = self.most = self.total = 0
        self.started: list[Any] = []

    def enter(self, who: Any) -> None:
        """Note that a job starts."""
        with self._lock:
            self.now += 1
            self.total += 1
            self.most = max(self.most, self.now)
            self.started.append(who)

    def leave(self) -> None:
        """Note that a job ends."""
        with self._lock:
            self.now -= 1


def two_lanes(app: Lineshaft, crowd: Crowd) -> tuple[Any, Any]:
    """Return a plain and an async task, each of which takes a moment now and then."""
    chance = random.Random(7)  # noqa: S311 - spreads the races

    @app.task(name="plain")
    def plain(number: int) -> None:
        crowd.enter(number)
        if chance.random() < 0.2:
            time.sleep(0.0005)
        crowd.leave()

    @app.task(name="later")
    async def later(number: int) -> None:
        crowd.enter(number)
        if chance.random() < 0.2:
            await asyncio.sleep(0.0005)
        crowd.leave()

    return plain, later


def largest_hold(worker: InProcessWorker, crowd: Crowd, count: int) -> int:
    """Wait until all jobs ran and return how many the worker held at most."""
    held = [0]

    def is_done() -> bool:
        held.append(worker.worker.claimer.queues["default"].held)
        return crowd.total == count

    eventually(is_done)
    return max(held)


@pytest.mark.parametrize("limit", [1, 2, 10])
def test_two_lanes_keep_to_one_limit_and_take_jobs_ahead(app: Lineshaft, start_worker: StartWorker, limit: int) -> None:
    """Plain and async jobs of one queue never run more at once than its limit, and more are claimed ahead."""
    crowd = Crowd()
    plain, later = two_lanes(app, crowd)
    jobs = app.enqueue_many([(plain, later)[number % 2].new(number) for number in range(3_000)])
    worker = start_worker(app, {"default": limit})
    assert largest_hold(worker, crowd, len(jobs)) > limit
    assert crowd.most == limit
    eventually(lambda: app.jobs.count(state="completed") == len(jobs))


def test_two_lanes_start_jobs_in_the_queues_order(app: Lineshaft, start_worker: StartWorker) -> None:
    """With one place, jobs of two lanes start in the order of the queue, also when they were taken ahead."""
    crowd = Crowd()
    plain, later = two_lanes(app, crowd)
    jobs = app.enqueue_many([(plain, later)[number % 3 == 0].new(number) for number in range(600)])
    claimed: list[str] = []
    app.on("started")(lambda event: claimed.append(event.job_id))
    worker = start_worker(app, {"default": 1})
    assert largest_hold(worker, crowd, 600) > 1
    assert claimed == [job.id for job in jobs]
    assert crowd.started == sorted(crowd.started)


def test_a_lane_gets_the_place_of_another_ones_deaf_job(
    app: Lineshaft, start_worker: StartWorker, gates: Gates
) -> None:
    """The place of a thread that ignores its timeout goes to an async job, and comes back only once."""
    crowd = Crowd()
    plain, later = two_lanes(app, crowd)

    @app.task(name="deaf", timeout=0.05, retry=None)
    def deaf() -> None:
        gates.note("deaf")
        gates.wait_deaf("wake")

    start_worker(app, {"default": 1})
    hangs = deaf.enqueue()
    assert gates.next() == "deaf"
    later.enqueue(1).result(LIMIT)
    gates.open("wake")
    hangs.wait(LIMIT)
    jobs = app.enqueue_many([(plain, later)[number % 2].new(number) for number in range(200)])
    for job in jobs:
        job.result(LIMIT)
    assert crowd.most == 1
