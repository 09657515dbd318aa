"""Circuit breakers in apps with workers: when they open, who waits, and who tries again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft import Breaker, BreakerNotFound, Fixed, GiveUp, Lineshaft, Retry
from tests.features.breaker.conftest import Needing, Server, ended, first_held, held, note_events
from tests.plugins.apps import eventually

if TYPE_CHECKING:
    from tests.plugins.apps import Gates, StartWorker


def test_failures_of_all_workers_open_it(
    durable_url: str, make_app: Callable[..., Lineshaft], needing: Needing, start_worker: StartWorker
) -> None:
    """Three failures, of two workers, open it for both; jobs wait then in its line and have spent no attempt."""
    apps = [make_app(durable_url), make_app(durable_url)]
    calls = [needing(app, breaker=Breaker("smtp", failures=3, reset="1h")) for app in apps]
    for app, queue in zip(apps, ("left", "right"), strict=True):
        start_worker(app, {queue: 1})
    assert ended([calls[0].options(queue="left").enqueue(1), calls[0].options(queue="left").enqueue(2)]) == ["dead"] * 2
    assert apps[0].breakers.get("smtp").state == "closed"
    assert ended([calls[0].options(queue="right").enqueue(3)]) == ["dead"]
    eventually(lambda: apps[0].breakers.get("smtp").state == "open")
    for queue in ("left", "right"):
        job = first_held(calls[0], queue=queue)
        hold = held(job)
        assert (job.refresh().state.value, job.attempt, hold.facts["phase"]) == ("queued", 0, "open")
        assert "Breaker 'smtp' is open for" in hold.text
        assert "ConnectionError: no answer" in hold.text
        assert hold.until is not None
        assert hold.cure == "lineshaft breakers reset smtp"


def test_a_probe_closes_it(
    app: Lineshaft, needing: Needing, server: Server, start_worker: StartWorker, gates: Gates
) -> None:
    """When it has rested one job tries; its success closes the breaker, and the line goes in its order, untouched."""
    note_events(app, gates)
    call = needing(app, breaker=Breaker("smtp", failures=1, reset="0.3s"))
    start_worker(app, {"default": 4})
    call.enqueue(0)
    assert gates.next() == ("breaker_opened", "smtp")
    first_held(call)
    jobs = call.enqueue_many(list(range(20)))
    server.recover()
    told = [gates.next()]
    while told[-1] != ("breaker_closed", "smtp"):
        told.append(gates.next())
    assert ("breaker_half_opened", "smtp") in told
    assert ended(jobs) == ["completed"] * 20
    assert {job.attempt for job in jobs} == {1}
    status = app.breakers.get("smtp")
    assert (status.state, status.forced, status.waiting, status.error) == (
        "closed",
        False,
        0,
        "ConnectionError: no answer",
    )


def test_a_failed_probe_opens_it_anew(
    app: Lineshaft, needing: Needing, start_worker: StartWorker, gates: Gates
) -> None:
    """A probe that fails spends its own attempt and nobody else's: the others go on waiting."""
    note_events(app, gates)
    call = needing(app, breaker=Breaker("smtp", failures=1, reset="0.3s"))
    start_worker(app, {"default": 4})
    call.enqueue(0)
    assert gates.next() == ("breaker_opened", "smtp")
    first_held(call)
    jobs = call.enqueue_many(list(range(5)))
    told = [gates.next() for _ in range(4)]
    assert told == [("breaker_half_opened", "smtp"), ("breaker_opened", "smtp")] * 2
    assert sum(not job.refresh().state.is_final for job in jobs) >= 2
    assert {job.attempt for job in jobs if not job.state.is_final} <= {0, 1}


def test_jobs_that_were_claimed_ahead_wait_too(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A worker that is used to quick jobs has claimed many ahead: when the breaker opens they are given back."""
    note_events(app, gates)
    app.task(name="quick", retry=None)(lambda: None)

    @app.task(breaker=Breaker("smtp", failures=3, reset="1h"), retry=None)
    def fail(number: int) -> None:
        threading.Event().wait(0.01)
        raise ConnectionError(number)

    app.enqueue_many([app.find("quick").new()] * 1_000)
    app.enqueue_many([fail.new(number) for number in range(1_000)])
    start_worker(app, {"default": 2})
    assert gates.next() == ("breaker_opened", "smtp")
    eventually(lambda: app.jobs.count(state="running") == 0 and app.breakers.get("smtp").waiting > 0)
    assert app.jobs.count(state="dead") < 200


def test_jobs_may_fail_in_place_of_waiting(
    app: Lineshaft, needing: Needing, start_worker: StartWorker, gates: Gates
) -> None:
    """With `when_open="fail"` a refused job's attempt fails with `BreakerOpen`, and its retry policy says what then."""
    note_events(app, gates)
    call = needing(app, breaker=Breaker("smtp", failures=1, reset="1h", when_open="fail"))
    start_worker(app, {"default": 4})
    call.enqueue(0)
    assert gates.next() == ("breaker_opened", "smtp")

    def last_error() -> Any:
        job = call.options(retry=Retry(max_attempts=2, backoff=Fixed("0.05s"))).enqueue(1)
        ended([job])
        return job if [one["type"] for one in job.errors] == ["lineshaft.errors.BreakerOpen"] * 2 else None

    job = eventually(last_error)
    assert (job.state.value, job.attempt) == ("dead", 2)
    assert "breaker 'smtp' is open since" in job.errors[0]["message"]
    status = app.breakers.get("smtp")
    assert (status.when_open, status.waiting) == ("fail", 0)


def test_by_hand(app: Lineshaft, needing: Needing, server: Server, start_worker: StartWorker, gates: Gates) -> None:
    """A person opens it: jobs wait; and closes it: they run, whatever fails, until it is reset."""
    note_events(app, gates)
    call = needing(app, breaker=Breaker("smtp", failures=1, reset="0.05s"))
    start_worker(app, {"default": 4})
    opened = app.breakers.open("smtp")
    assert (opened.state, opened.forced, opened.until) == ("open", True, None)
    assert gates.next() == ("breaker_opened", "smtp")
    job = first_held(call)
    assert "was opened by hand" in held(job).text
    closed = app.breakers.close("smtp")
    assert (closed.state, closed.forced) == ("closed", True)
    assert gates.next() == ("breaker_closed", "smtp")
    assert ended([job, *call.enqueue_many([1, 2, 3])]) == ["dead"] * 4
    server.recover()
    assert app.breakers.reset("smtp").forced is False
    assert ended([call.enqueue(4)]) == ["completed"]
    assert app.breakers.get("smtp").state == "closed"


def test_only_what_it_counts_opens_it(app: Lineshaft, start_worker: StartWorker) -> None:
    """Errors that `on` does not name say nothing, nor does `GiveUp` where it names none; a timeout does."""
    once = Retry(max_attempts=1)

    @app.task(breaker=Breaker("strict", failures=1, reset="1h", on=(ConnectionError,)), retry=once)
    def fail(kind: str) -> None:
        raise {"value": ValueError, "connection": ConnectionResetError}[kind]("away")

    @app.task(breaker=Breaker("loose", failures=1, reset="1h"), retry=once, runs_in="thread", timeout="0.05s")
    def wrong(kind: str) -> None:
        if kind == "give up":
            raise GiveUp
        while True:
            pass

    start_worker(app, {"default": 1})
    ended([fail.enqueue("value"), wrong.enqueue("give up")])
    assert {one.name: one.state for one in app.breakers.list()} == {"loose": "closed", "strict": "closed"}
    ended([fail.enqueue("connection"), wrong.enqueue("time out")])
    eventually(lambda: {one.state for one in app.breakers.list()} == {"open"})
    assert "TimeoutError" in (app.breakers.get("loose").error or "")


def test_tasks_share_what_they_name(app: Lineshaft, needing: Needing, start_worker: StartWorker, gates: Gates) -> None:
    """A task that says only the name has the breaker of the one that says it all."""
    note_events(app, gates)
    named = needing(app, "named", breaker="smtp")
    needing(app, "saying", breaker=Breaker("smtp", failures=2, reset="1h"))
    start_worker(app, {"default": 1})
    ended(named.enqueue_many([1, 2]))
    assert gates.next() == ("breaker_opened", "smtp")
    assert app.breakers.get("smtp").failures == 2


def test_a_job_may_bring_its_breaker(
    app: Lineshaft, needing: Needing, server: Server, start_worker: StartWorker, gates: Gates
) -> None:
    """A breaker that only jobs name, in their stored options, works as those of tasks do."""
    note_events(app, gates)
    call = needing(app).options(breaker=Breaker("smtp", failures=1, reset="0.3s", on=ConnectionError))
    start_worker(app, {"default": 1})
    ended([call.enqueue(0)])
    assert gates.next() == ("breaker_opened", "smtp")
    job = call.enqueue(1)
    held(job)
    server.recover()
    assert ended([job]) == ["completed"]
    assert app.breakers.get("smtp").reset.total_seconds() == pytest.approx(0.3)


def test_names_that_do_not_exist(app: Lineshaft, needing: Needing) -> None:
    """Asking for an unknown breaker names those that are known, in one line, from async code too."""
    needing(app, breaker="smtp")
    with pytest.raises(BreakerNotFound, match=r"^no breaker is named 'imap'; known are: smtp$"):
        app.breakers.get("imap")

    async def ask() -> list[str]:
        with pytest.raises(LookupError):
            await app.breakers.aopen("imap")
        assert [one.name for one in await app.breakers.alist()] == ["smtp"]
        opened, found = await app.breakers.aopen("smtp"), await app.breakers.aget("smtp")
        closed, reset = await app.breakers.aclose("smtp"), await app.breakers.areset("smtp")
        return [one.state for one in (opened, found, closed, reset)]

    assert asyncio.run(ask()) == ["open", "open", "closed", "closed"]


def test_in_tests_of_an_app(make_app: Callable[..., Lineshaft], needing: Needing, server: Server) -> None:
    """Inside `app.testing("manual")` a breaker opens, holds jobs while the clock stands, and lets them go later."""
    app = make_app("memory://")
    call = needing(app, breaker=Breaker("smtp", failures=2, reset="30s"))
    with app.testing("manual", raise_errors=False) as test:
        jobs = call.enqueue_many(list(range(6)))
        test.drain()
        assert [job.refresh().state.value for job in jobs] == ["dead"] * 2 + ["queued"] * 4
        server.recover()
        test.drain()
        assert app.breakers.get("smtp").waiting == 4
        test.travel("30s")
        test.drain()
        assert [job.refresh().state.value for job in jobs[2:]] == ["completed"] * 4
