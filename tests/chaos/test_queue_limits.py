"""Limits of a whole queue while workers are killed: places come back, and never do more jobs run than may."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from lineshaft import Lineshaft
from lineshaft.app.store import Store
from lineshaft.store.grants import see_flow
from lineshaft.store.inspect import running_by_worker
from tests.chaos.conftest import Chaos
from tests.plugins.apps import eventually

FREE_WITHIN: Final = 5.0
QUEUE: Final = "default"


class Witness:
    """Looks at the store all the time: how many jobs workers hold, and what the limit is, in one transaction."""

    def __init__(self, store: Store) -> None:
        self._store, self._ended = store, threading.Event()
        self.looks, self.most = 0, 0
        self.faults: list[str] = []
        self._ceiling: int | None = None
        self._thread = threading.Thread(target=self._work)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def end(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._ended.wait(0.002):
            running, limit = self._store.read(
                lambda tx: (sum(running_by_worker(tx).values()), see_flow(tx, QUEUE)[0].concurrency)
            )
            assert limit is not None
            ceiling = limit if self._ceiling is None else max(limit, self._ceiling)
            if running > ceiling:
                self.faults.append(f"{running} jobs run, and {ceiling} may")
            self._ceiling = max(limit, running)
            self.looks, self.most = self.looks + 1, max(self.most, running)


@contextmanager
def witness(app: Lineshaft) -> Iterator[Witness]:
    """Watch the limit for the length of the block."""
    found = Witness(app._store)
    found.start()
    try:
        yield found
    finally:
        found.end()


def holders(chaos: Chaos) -> dict[int, int]:
    """Who has how many places."""
    return chaos.app.queues.get(QUEUE).holders


def test_places_of_a_killed_worker_are_free_soon(chaos: Chaos) -> None:
    """A worker that is killed with all places of a queue: within five seconds others run as many of its jobs."""
    chaos.make_effects()
    chaos.app.queues.update(QUEUE, concurrency=3)
    doomed = chaos.worker()
    for number in range(3):
        chaos.enqueue("held", f"held-{number}", "gate")
        doomed.expect("start")
    heir = chaos.worker()
    jobs = [chaos.enqueue("held", f"next-{number}", "gate") for number in range(4)]
    assert sum(holders(chaos).values()) == 3
    assert heir.count("start") == 0
    assert [job.refresh().state for job in jobs] == ["queued"] * 4
    with witness(chaos.app) as seen:
        at = time.monotonic()
        chaos.kill(doomed)
        for _ in range(3):
            came, _line = heir.expect("start")
        assert came - at < FREE_WITHIN
        heir.say("gate")
        chaos.settle()
    assert seen.faults == []
    assert set(holders(chaos)) <= {one.id for one in chaos.app.workers.list() if one.pid == heir.pid}
    chaos.assert_in_order()


def test_a_clean_stop_hands_places_over(chaos: Chaos) -> None:
    """A worker that is told to end takes no place with it: another starts its next jobs at once."""
    chaos.make_effects()
    chaos.app.queues.update(QUEUE, concurrency=2)
    leaving = chaos.worker()
    for number in range(2):
        chaos.enqueue("held", f"held-{number}", "gate")
        leaving.expect("start")
    heir = chaos.worker()
    chaos.enqueue("held", "next", "gate")
    leaving.send(signal.SIGTERM)
    eventually(lambda: any(one.state == "draining" for one in chaos.app.workers.list()))
    assert heir.count("start") == 0
    leaving.say("gate")
    heir.expect("start next")
    heir.say("gate")
    assert leaving.end() == 0
    chaos.settle()
    chaos.assert_in_order()


@pytest.mark.timeout(120)
def test_limits_hold_while_workers_are_killed(chaos: Chaos) -> None:
    """Workers come and are killed, and the limit changes: no look at the store finds more jobs held than may be."""
    chaos.make_effects()
    chaos.app.queues.update(QUEUE, concurrency=4)
    with witness(chaos.app) as seen:
        workers = [chaos.worker(f"{QUEUE}:3") for _ in range(3)]
        for round_ in range(4):
            for number in range(25):
                chaos.enqueue("busy", f"{round_}-{number}", 0.02)
            eventually(lambda: seen.most >= 3 or not chaos.unfinished())
            chaos.kill(workers.pop(0))
            workers.append(chaos.worker(f"{QUEUE}:3"))
            chaos.app.queues.update(QUEUE, concurrency=2 if round_ % 2 == 0 else 5)
        chaos.settle(60)
    assert seen.faults == []
    assert seen.looks > 50
    assert seen.most >= 3
    eventually(lambda: not holders(chaos))
    chaos.assert_in_order()
