"""What a worker tells while jobs run: events, progress, and what jobs log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from lineshaft import ConfigError, Lineshaft, Retry, Snooze, current_job
from lineshaft.events import JobEvent
from lineshaft.retry import Fixed
from lineshaft.store import finish
from lineshaft.worker import liveness
from lineshaft.worker.joblog import MOST_BYTES, MOST_LINES
from tests.plugins.apps import Gates, StartWorker, eventually


def test_every_move_is_told_once(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """Each move of a job is told once, in order, after it is stored."""
    kinds = ["enqueued", "started", "completed", "retrying", "snoozed", "dead", "cancelled", "expired"]

    @app.on(*kinds)
    def tell(event: JobEvent) -> None:
        gates.note((event.kind, event.attempt, getattr(event, "error", None), getattr(event, "reason", None)))

    @app.task(name="turns", retry=Retry(max_attempts=2, backoff=Fixed(0)))
    def turns(snoozed: list[int] = []) -> None:  # noqa: B006 - remembers the snooze
        if not snoozed:
            snoozed.append(1)
            raise Snooze("10ms")
        raise ValueError(f"error {current_job().attempt}")

    app.task(name="good")(lambda: None)
    job = turns.enqueue()  # before the worker starts: two threads tell of these, each when it has committed
    start_worker(app, {"default": 1})
    job.wait(10)
    assert [gates.next() for _ in range(7)] == [
        ("enqueued", 0, None, None),
        ("started", 1, None, None),
        ("snoozed", 1, None, None),
        ("started", 1, None, None),
        ("retrying", 1, "error 1", None),
        ("started", 2, None, None),
        ("dead", 2, "error 2", "error"),
    ]
    app.enqueue("good").wait(10)
    assert {gates.next()[0] for _ in range(3)} == {"enqueued", "started", "completed"}


def test_handler_that_raises_harms_nobody(
    app: Lineshaft, start_worker: StartWorker, gates: Gates, caplog: pytest.LogCaptureFixture
) -> None:
    """A handler that raises is logged; the other handlers, the job and the worker go on."""

    @app.on("completed")
    def broken(event: JobEvent) -> None:
        raise RuntimeError("broken handler")

    app.on("completed")(lambda event: gates.note(event.name))
    app.task(name="good")(lambda: "good")
    start_worker(app)
    assert app.enqueue("good").result(10) == "good"
    assert gates.next() == "good"
    assert "broken handler" in caplog.text


def test_unknown_kind_is_refused(app: Lineshaft) -> None:
    """`app.on` names the events that there are when it is given another."""
    with pytest.raises(ConfigError, match="completed"):
        app.on("finished")


def test_progress_is_coalesced(
    store_url: str,
    make_app: Callable[..., Lineshaft],
    start_worker: StartWorker,
    gates: Gates,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Thousands of words of progress become a few writes, and the last word is there while the job runs."""
    app = make_app(store_url, heartbeat="1s", silence="3s")
    writes: list[int] = []
    save = finish.save_progress

    def count_and_save(*args: Any, **keywords: Any) -> None:
        writes.append(1)
        save(*args, **keywords)

    monkeypatch.setattr(liveness, "save_progress", count_and_save)

    @app.task(name="count")
    def count() -> None:
        for number in range(10_000):
            current_job().progress(number / 10_000, f"step {number}")
        current_job().progress(1, "all steps")
        gates.wait("go")

    start_worker(app)
    job = count.enqueue()
    found: Any = eventually(lambda: (p := job.refresh().progress) and p.fraction == 1 and p)
    assert (found.fraction, found.message) == (1.0, "all steps")
    assert len(writes) <= 4
    gates.open("go")
    job.wait(10)


def test_logs_are_kept_by_attempt(app: Lineshaft, start_worker: StartWorker) -> None:
    """What a job logs is kept with its attempt: level, logger, message and traceback, in order, and nobody else's."""

    @app.task(name="talk", retry=Retry(max_attempts=2, backoff=Fixed(0)))
    def talk() -> None:
        current_job().log.info("attempt %d", current_job().attempt)
        logging.getLogger("elsewhere").warning("not the job's")
        try:
            raise ValueError("broken")  # noqa: TRY301 - a traceback to log
        except ValueError:
            current_job().log.exception("it failed")
            if current_job().attempt == 1:
                raise

    start_worker(app)
    job = talk.enqueue()
    job.result(10)
    lines = eventually(lambda: len(found := job.logs()) == 4 and found)
    assert [(one["attempt"], one["level"]) for one in lines] == [(1, "INFO"), (1, "ERROR"), (2, "INFO"), (2, "ERROR")]
    assert [one["message"].splitlines()[0] for one in lines] == ["attempt 1", "it failed", "attempt 2", "it failed"]
    assert "ValueError: broken" in lines[1]["message"]


@pytest.mark.parametrize(
    "count,size,kept",
    [(MOST_LINES + 7, 1, MOST_LINES), (100, 2_000, MOST_BYTES // 2_000)],
    ids=["lines", "bytes"],
)
def test_logs_are_bounded(app: Lineshaft, start_worker: StartWorker, count: int, size: int, kept: int) -> None:
    """Of an attempt at most 1,000 lines or 64 KiB are kept, and a last line counts the others."""

    @app.task(name="chatter")
    def chatter() -> None:
        for _ in range(count):
            current_job().log.info("x" * size)

    start_worker(app)
    job = chatter.enqueue()
    job.result(20)
    *lines, last = eventually(job.logs)
    assert len(lines) == kept
    assert f"{count - kept} more lines were not kept" in last["message"]


def test_running_jobs_log_can_be_read(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """What a job logged is there while it still runs."""

    @app.task(name="talk")
    def talk() -> None:
        current_job().log.info("so far")
        gates.wait("go")

    start_worker(app)
    job = talk.enqueue()
    assert [one["message"] for one in eventually(job.logs)] == ["so far"]
    gates.open("go")
    job.wait(10)


def test_expired_jobs_are_told(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A job whose deadline passed is told as expired, once, whether a claim found it or the look for overdue ones."""
    app.on("expired")(lambda event: gates.note((event.job_id, event.name, event.queue)))
    late = app.task(name="late")(lambda: None)
    start_worker(app, {"default": 1})
    unserved = late.options(queue="unserved", deadline=0.01).enqueue()
    assert gates.next() == (unserved.id, "late", "unserved")
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    served = late.options(deadline=long_ago).enqueue()
    assert gates.next() == (served.id, "late", "default")
    served.wait(10)
    assert gates.notes.empty()
