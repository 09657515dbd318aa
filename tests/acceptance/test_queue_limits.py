"""Limits of whole queues as an application and its people meet them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lineshaft import ConfigError, Lineshaft, Rate
from tests.plugins.apps import Gates, StartWorker, eventually


@pytest.mark.parametrize(
    "given, said",
    [
        ({"concurrency": 0}, "concurrency=0 of a queue must be a whole number from 1, or None; to stop it, pause it"),
        ({"concurrency": True}, "concurrency=True of a queue must be"),
        ({"concurrency": 2.5}, r"concurrency=2.5 of a queue must be"),
        ({"rate": "fast"}, "rate='fast' is no rate"),
        ({"rate": "0/m"}, "count=0 of Rate"),
        ({"rate": 5}, "rate=5 of a queue must be a text such as '100/m', a Rate, or None"),
        ({"rate": Rate(5, "1s", key="a")}, "key='a' of a queue's rate has no meaning"),
        ({"rate": Rate(5, "1s", per_tenant=True)}, "per_tenant=True of a queue's rate has no meaning"),
        ({"rate": Rate(5, "1s", cost=2)}, "cost=2 of a queue's rate has no meaning"),
        ({}, "nothing to change; give concurrency, rate, "),
    ],
)
def test_what_cannot_be_is_refused(app: Lineshaft, given: dict[str, Any], said: str) -> None:
    """A limit that means nothing is refused where it is said, and changes nothing."""
    app.queues.update("pdf", concurrency=3)
    with pytest.raises(ConfigError, match=said):
        app.queues.update("pdf", **given)
    assert app.queues.get("pdf").concurrency == 3


def test_a_queue_tells_its_limits(app: Lineshaft) -> None:
    """What was said is what a queue shows; each limit is set and taken away by itself, and depths stay."""
    app.queues.update("pdf", concurrency=3, rate=Rate(5, "30s", burst=9), max_depth=7)
    found = app.queues.get("pdf")
    assert (found.concurrency, found.rate, found.max_depth, found.holders) == (3, Rate(5, "30s", burst=9), 7, {})
    app.queues.update("pdf", concurrency=None)
    found = app.queues.get("pdf")
    assert (found.concurrency, found.rate, found.max_depth) == (None, Rate(5, "30s", burst=9), 7)
    app.queues.update("pdf", rate=None)
    assert app.queues.get("pdf").rate is None


def test_a_limit_is_changed_while_workers_run(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """No worker is started anew: a limit counts from the next claim on, also one that is raised or taken away."""

    @app.task(name="work", queue="pdf")
    def work(number: int) -> None:
        gates.note(number)
        gates.wait(str(number))

    def running() -> int:
        return sum(one.running for one in app.workers.list())

    app.queues.update("pdf", concurrency=2)
    jobs = work.enqueue_many(range(9))
    for _ in range(2):
        start_worker(app, {"pdf": 4})
    eventually(lambda: running() == 2)
    app.queues.update("pdf", concurrency=3)
    eventually(lambda: running() == 3)
    assert sum(app.queues.get("pdf").holders.values()) == 3
    app.queues.update("pdf", concurrency=1)
    started = {gates.next() for _ in range(3)}
    gates.open(str(started.pop()))
    eventually(lambda: running() == 2)
    gates.open(str(started.pop()))
    eventually(lambda: running() == 1)
    assert gates.notes.empty()
    app.queues.update("pdf", concurrency=None)
    eventually(lambda: running() == 7)
    gates.open_all()
    eventually(lambda: all(job.refresh().state == "completed" for job in jobs))


def test_why_a_place_is_waited_for(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A job that waits for a place of its queue is told how many there are, and which workers have them."""

    @app.task(name="work", queue="pdf")
    def work() -> None:
        gates.wait("end")

    app.queues.update("pdf", concurrency=2)
    start_worker(app, {"pdf": 4})
    work.enqueue_many([() for _ in range(2)])
    [worker] = app.workers.list()
    eventually(lambda: app.workers.list()[0].running == 2)
    job = work.enqueue()
    hold = job.why()[0]
    assert (hold.kind, hold.until) == ("queue-limit", None)
    assert hold.text == (
        f"Its queue 'pdf' runs 2 jobs at once over all workers, and all 2 places are taken: 2 with worker {worker.id}"
    )
    assert hold.facts == {"queue": "pdf", "concurrency": 2, "holders": [{"worker": worker.id, "places": 2}]}
    assert hold.cure == "lineshaft queues update pdf --concurrency N"


def test_why_a_token_is_waited_for(app: Lineshaft, start_worker: StartWorker) -> None:
    """A job that waits for its queue's rate is told when the next one starts."""

    @app.task(name="work", queue="pdf")
    def work() -> None:
        """Do nothing."""

    app.queues.update("pdf", rate=Rate(1, "1h", burst=1))
    start_worker(app, {"pdf": 4})
    first = work.enqueue()
    eventually(lambda: first.refresh().state == "completed")
    hold = work.enqueue().why()[0]
    assert hold.kind == "queue-rate"
    assert hold.text.startswith("Its queue 'pdf' starts 1/h over all workers; the next one at ")
    assert hold.until is not None
    assert (hold.until - first.started_at).total_seconds() == pytest.approx(3_600, abs=2)
    assert hold.facts == {"queue": "pdf", "rate": "1/h", "burst": 1}


def test_tests_run_jobs_of_limited_queues(app: Lineshaft) -> None:
    """Inside app.testing() jobs run one at a time, which is within any limit, and rates of queues are left out."""

    @app.task(name="work", queue="pdf")
    def work(number: int) -> int:
        return number

    with app.testing("manual") as t:
        app.queues.update("pdf", concurrency=1, rate="1/h")
        jobs = work.enqueue_many(range(3))
        t.drain()
        assert [job.result() for job in jobs] == [0, 1, 2]


def test_twins(app: Lineshaft) -> None:
    """What changes a queue can be awaited."""

    async def change() -> None:
        await app.queues.aupdate("pdf", concurrency=3)
        assert (await app.queues.aget("pdf")).concurrency == 3

    asyncio.run(change())
