"""Workers that are killed while limits hold: places come back, and there are never more than there may be."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from lineshaft import Lineshaft
from lineshaft.engines.base import Sql, Statement
from tests.chaos.limited import HELD, ORDERED, PAIR, SHORT, add_tasks
from tests.plugins.apps import Process, StartProcess
from tests.worker.crew import key_of

FREE_WITHIN: Final = 5.0
"""Seconds from the death of a worker to the start of others in its jobs' places."""
_SCRIPT: Final = Path(__file__).parent / "limited.py"
_HELD: Final = Statement(
    "held",
    Sql.parse("select name, args from lineshaft_job where stage = 1 and worker is not null", "sqlite", ()),
    Sql.parse("select name, args from lineshaft.job where worker is not null", "postgres", ()),
)
_PARKED: Final = Statement(
    "parked",
    Sql.parse("select count(*) from lineshaft_job where stage = 5", "sqlite", ()),
    Sql.parse("select count(*) from lineshaft.job where stage = 5", "postgres", ()),
)
_OCCUPIED: Final = Statement(
    "occupied",
    Sql.parse(
        "select key, (select count(worker) from lineshaft_job where gate = key and stage = 1)"
        " + (select count(*) from lineshaft_slot as s join lineshaft_job as j on j.id = s.job and j.claim = s.claim"
        " where s.gate = key and j.worker is not null and j.stage = 1) from lineshaft_gate",
        "sqlite",
        (),
    ),
    Sql.parse(
        "select key, (select count(worker) from lineshaft.job where gate = key and stage = 1)"
        " + (select count(*) from lineshaft.slot as s join lineshaft.job as j on j.id = s.job and j.claim = s.claim"
        " where s.gate = key and j.worker is not null) from lineshaft.gate",
        "postgres",
        (),
    ),
)


class Site:
    """A store with limited jobs and worker processes, with the settings of service."""

    def __init__(self, url: str, make_app: Callable[..., Lineshaft], start: StartProcess) -> None:
        self.url, self._start = url, start
        self.app = make_app(url)
        add_tasks(self.app)
        self.app.migrate()
        self.engine = self.app.runtime().engine

    def worker(self, slots: int) -> Process:
        """Start a worker process and wait until it is up."""
        process = self._start(_SCRIPT, self.url, str(slots))
        process.expect("ready")
        return process

    def read(self, statement: Statement) -> list[tuple[Any, ...]]:
        """Run a statement of the test's own."""
        return self.engine.read(lambda tx: tx.run(statement, {}))

    def enqueue(self, name: str, keys: int, count: int, seconds: float) -> None:
        """Enqueue jobs of some keys, half of them one by one."""
        new = [{"key": number % keys, "number": number, "seconds": seconds} for number in range(count)]
        task = self.app._tasks[name]
        task.enqueue_many(new[: count // 2])
        for one in new[count // 2 :]:
            task.enqueue(**one)


@pytest.fixture
def site(durable_url: str, make_app: Callable[..., Lineshaft], start_process: StartProcess) -> Site:
    """A site on each store in turn."""
    return Site(durable_url, lambda url: make_app(url, heartbeat="1s", silence="3s"), start_process)


def test_the_places_of_a_killed_worker_are_taken_soon(site: Site) -> None:
    """After kill -9 the jobs of the same limit start elsewhere within five seconds, and no place is lost or doubled."""
    doomed = site.worker(2)
    site.enqueue(PAIR, 1, 6, HELD)
    doomed.expect("start")
    doomed.expect("start")
    heir = site.worker(4)
    killed_at = doomed.kill()
    heir.expect("start")
    started_at, _ = heir.expect("start")
    assert started_at - killed_at < FREE_WITHIN
    assert len(site.read(_HELD)) == 2
    assert [count for _, count in site.read(_OCCUPIED)] == [2]


def test_occupancy_equals_live_leases_after_chaos(site: Site) -> None:
    """Workers are killed and started while jobs of few keys run: never too many at once, and all jobs end."""
    site.enqueue(PAIR, 3, 240, SHORT)
    site.enqueue(ORDERED, 3, 90, SHORT)
    chosen = random.Random(11)  # noqa: S311 - a test
    workers = [site.worker(4) for _ in range(2)]
    for _ in range(3):
        workers[0].expect("start")
        workers.pop(0).kill()
        workers.append(site.worker(chosen.choice((2, 6))))
        _assert_within_limits(site)
    deadline = time.monotonic() + 40
    while sum(site.app.queues.get("default").counts.values()) and time.monotonic() < deadline:
        _assert_within_limits(site)
    assert site.app.queues.get("default").counts == {}
    assert site.read(_PARKED) == [(0,)]
    assert not any(count for _, count in site.read(_OCCUPIED))


def _assert_within_limits(site: Site) -> None:
    held = Counter((name, key_of(args)) for name, args in site.read(_HELD))
    for (name, key), count in held.items():
        assert count <= (2 if name == PAIR else 1), f"{count} jobs of key {key} of {name} are held at once"
