"""`app.schedules.expect` and `backfill` as a user calls them, with real workers."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft import Backfill, BackfillNotFound, ConfigError, Lineshaft, ScheduleError, ScheduleNotFound, current_job
from lineshaft.clock import SECOND, to_instant
from lineshaft.features.schedules.records import get_schedule
from tests.plugins.apps import QUICK, eventually

if TYPE_CHECKING:
    from lineshaft import Schedule
    from tests.plugins.apps import Gates, StartProcess, StartWorker

WORK = Path(__file__).parent / "process_work.py"
YEARLY = "0 0 1 1 *"


def succeeded_at(app: Lineshaft, name: str) -> int | None:
    """Return when a job that was expected was last seen to complete."""
    row = app._store.read(lambda tx: get_schedule(tx, name))
    assert row is not None
    return row.succeeded_at


def test_completions_are_noted(app: Lineshaft, start_worker: StartWorker) -> None:
    """A job that completes is noted, in whatever lane and transaction; one that fails, or of another task, is not."""

    @app.task
    def plain() -> None: ...

    @app.task
    async def loop() -> None: ...

    @app.task
    def own() -> None:
        with current_job().transaction():
            pass

    @app.task(retry=None)
    def bad() -> None:
        raise ValueError

    @app.task
    def other() -> None: ...

    tasks = [plain, loop, own, bad]
    for task in tasks:
        app.schedules.expect(f"{task.name}-runs", task, cron=YEARLY)
    app.schedules.expect("other-runs", "nothing.of.that.name", cron=YEARLY)
    start_worker(app)
    before = app._store.engine.clock.now()
    jobs = [task.enqueue() for task in (*tasks, other)]
    eventually(lambda: all(job.refresh().state.is_final for job in jobs))
    for task in tasks[:3]:
        noted = eventually(lambda task=task: succeeded_at(app, f"{task.name}-runs"))
        assert noted >= before - SECOND
    assert succeeded_at(app, f"{bad.name}-runs") is None
    assert succeeded_at(app, "other-runs") is None


def test_process_lane(durable_app: Lineshaft, durable_url: str, start_process: StartProcess) -> None:
    """A job that completed itself in a child process is noted by the worker that started the child."""
    durable_app.schedules.expect("sums", "sums.own", cron=YEARLY)
    worker = start_process(WORK, durable_url, json.dumps(QUICK))
    worker.expect("ready")
    job = durable_app.enqueue("sums.own")
    eventually(lambda: job.refresh().state.is_final)
    assert job.state == "completed"
    assert eventually(lambda: succeeded_at(durable_app, "sums"))


def test_told_and_taken_back(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """An expectation that is not met is told of by the leader's process, and so is the job that meets it at last."""

    @app.task
    def beat() -> None: ...

    @app.on("overdue", "recovered")
    def tell(event: Any) -> None:
        gates.note((event.kind, event.schedule, event.task))

    made = app.schedules.expect("heart", beat, every="1s")
    assert (made.task, made.state, made.overdue_at) == (beat.name, "active", None)
    start_worker(app)
    assert gates.next() == ("overdue", "heart", beat.name)
    assert app.schedules.get("heart").overdue_at is not None
    beat.enqueue()
    assert gates.next() == ("recovered", "heart", beat.name)


def test_expectation_is_a_schedule(app: Lineshaft) -> None:
    """What is expected is listed, paused, changed and deleted as schedules are, and enqueues nothing."""

    @app.task
    def report() -> None: ...

    app.schedules.expect("reports", report, cron="0 6 * * *", timezone="Europe/Berlin")
    with pytest.raises(ScheduleError, match="reports"):
        app.schedules.expect("reports", report, cron="0 7 * * *")
    changed = app.schedules.expect("reports", report, cron="0 7 * * *", exist_ok=True)
    assert changed.rule == {"cron": "0 7 * * *", "timezone": "UTC"}
    assert app.schedules.update("reports", cron="0 8 * * *").rule["cron"] == "0 8 * * *"
    with pytest.raises(ScheduleError, match="unexpected 'overlap'"):
        app.schedules.update("reports", overlap="skip")
    assert app.schedules.pause("reports").state == "paused"
    with pytest.raises(ScheduleError, match="enqueues no jobs"):
        app.schedules.run("reports")
    app.schedules.delete("reports")
    with pytest.raises(ScheduleNotFound):
        app.schedules.get("reports")


@pytest.mark.parametrize(
    "task, rule, reason",
    [
        ("", {"cron": YEARLY}, "task='' must be a task or the name of one"),
        (7, {"cron": YEARLY}, "task=7 must be"),
        ("a", {"every": "1h", "since": "finish"}, "since='finish' counts from the end of jobs"),
        ("a", {"at": datetime(2099, 1, 1, tzinfo=UTC)}, "it ticks once"),
        ("a", {}, "give exactly one of cron=, every=, at=, days="),
        ("a", {"cron": "0 0 31 2 *"}, "never fires"),
    ],
)
def test_refused_expectations(app: Lineshaft, task: Any, rule: Any, reason: str) -> None:
    """What cannot be expected is refused, with the schedule's name and the reason."""
    with pytest.raises(ScheduleError, match="schedule 'wrong'") as caught:
        app.schedules.expect("wrong", task, **rule)
    assert reason in str(caught.value)


# --- backfills --------------------------------------------------------------------------------------------------------


def nightly(app: Lineshaft, gates: Gates) -> Schedule:
    """Make a schedule whose jobs tell their ticks."""

    @app.task(name="report")
    def report() -> None:
        gates.note(current_job().tick)

    return app.schedules.create("nightly", report.new(), cron="30 2 * * *", timezone="Europe/Berlin")


def test_backfill(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A past range is run in order, each job with its tick, and the backfill tells how far it is until it is done."""
    nightly(app, gates)
    since, until = datetime(2026, 3, 27, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC)
    made = app.schedules.backfill("nightly", since, until)
    assert (made.state, made.since, made.until, made.at_most, made.enqueued) == ("running", since, until, 1, 0)
    start_worker(app)
    ticks = [gates.next() for _ in range(4)]
    # On 29 March clocks went from 02:00 to 03:00: the tick comes when they did.
    assert [tick.astimezone(UTC).hour for tick in ticks] == [1, 1, 1, 0]
    assert [tick.day for tick in ticks] == [27, 28, 29, 30]
    eventually(lambda: app.schedules.backfills("nightly")[0].state == "done")
    [done] = app.schedules.backfills("nightly")
    assert (done.id, done.enqueued, done.unfinished, done.next_at) == (made.id, 4, 0, None)
    assert {tick.run for tick in app.schedules.history("nightly")} == {made.id}


def test_backfill_without_a_worker(app: Lineshaft, gates: Gates) -> None:
    """What is begun by the asynchronous calls is listed, cancelled and refused by both kinds."""
    nightly(app, gates)
    until = datetime.now(UTC)

    async def begin() -> tuple[Backfill, Backfill, Backfill]:
        first = await app.schedules.abackfill("nightly", until - timedelta(days=9), until, at_most=4, only_missing=True)
        second = await app.schedules.abackfill("nightly", until - timedelta(days=2), until)
        assert [one.id for one in await app.schedules.abackfills("nightly")] == [second.id, first.id]
        return first, second, await app.schedules.acancel_backfill(first.id)

    first, second, cancelled = asyncio.run(begin())
    assert (cancelled.state, cancelled.only_missing) == ("cancelled", True)
    assert [one.id for one in app.schedules.backfills("nightly", limit=1)] == [second.id]
    assert app.schedules.cancel_backfill(first.id) == cancelled
    with pytest.raises(BackfillNotFound, match="'lineshaft schedules backfills NAME' lists"):
        app.schedules.cancel_backfill("gone")
    with pytest.raises(ScheduleNotFound):
        app.schedules.backfill("gone", until - timedelta(days=1), until)
    with pytest.raises(ScheduleNotFound):
        app.schedules.backfills("gone")


@pytest.mark.parametrize("at_most", [0, 10_001, True, "3", 1.5])
def test_refused_number_at_once(app: Lineshaft, gates: Gates, at_most: Any) -> None:
    """`at_most` is a whole number from 1 to 10,000."""
    nightly(app, gates)
    until = datetime.now(UTC)
    with pytest.raises(ScheduleError, match="must be a whole number from 1 to 10,000"):
        app.schedules.backfill("nightly", until - timedelta(days=1), until, at_most=at_most)


def test_times_need_a_zone(app: Lineshaft, gates: Gates) -> None:
    """A time without a zone is refused by its name."""
    nightly(app, gates)
    with pytest.raises(ConfigError, match="since=2026-03-27T00:00:00 carries no time zone"):
        app.schedules.backfill("nightly", datetime(2026, 3, 27), datetime.now(UTC))  # noqa: DTZ001 - the point
    assert to_instant(datetime.now(UTC)) > 0
