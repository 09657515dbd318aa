"""`app.schedules`: creating, looking, changing, running."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lineshaft import (
    ConfigError,
    Lineshaft,
    QueueFull,
    ScheduleError,
    ScheduleNotFound,
    Task,
    Unique,
    current_job,
)
from lineshaft.app.imports import identity_of
from lineshaft.clock import ManualClock, to_datetime
from lineshaft.engines.base import Tx
from lineshaft.features.schedules import records
from lineshaft.features.schedules.chores import ensure_chores
from lineshaft.features.schedules.definition import read_definition
from lineshaft.features.schedules.records import ScheduleRow
from tests.plugins.apps import Gates, StartWorker

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def report(app: Lineshaft) -> Task[..., Any, Any]:
    """A task that reports."""

    @app.task(name="report", tags=["q3"])
    def report(name: str = "all", pages: int = 1) -> str:
        return name * pages

    return report


@pytest.fixture
def clock(app: Lineshaft) -> ManualClock:
    """The store's clock, which stands still at noon in Berlin, on 2 March 2026."""
    clock = ManualClock(int(datetime(2026, 3, 2, 12, tzinfo=BERLIN).timestamp()) * 1_000_000)
    app._store.engine.clock = clock  # type: ignore[assignment]
    return clock


Row = Callable[[str], ScheduleRow]


@pytest.fixture
def row(app: Lineshaft) -> Row:
    """Reads a schedule as stored."""
    return lambda name: app.schedules._row(name)


def test_create(app: Lineshaft, report: Task[..., Any, Any], clock: ManualClock) -> None:
    """A schedule that is created at run time has the job, the rule and the options that were said."""
    made = app.schedules.create(
        "nightly",
        report.options(queue="paper", priority="high", tenant="acme").new("a", pages=2),
        cron="30 2 * * 1-5",
        timezone="Europe/Berlin",
        catch_up="all",
        catch_up_limit=7,
        grace="5m",
        overlap="skip",
        jitter="30s",
        finish_within="30m",
        start=datetime(2026, 3, 10, tzinfo=UTC),
        end=datetime(2026, 4, 1, tzinfo=UTC),
    )
    assert made == app.schedules.get("nightly")
    assert [made] == app.schedules.list()
    assert (made.name, made.task, made.source, made.state) == ("nightly", "report", "runtime", "active")
    assert (made.queue, made.priority, made.tenant, made.tags) == ("paper", 50, "acme", ("q3",))
    assert made.args == (["a"], {"pages": 2})
    assert (made.catch_up, made.catch_up_limit, made.overlap) == ("all", 7, "skip")
    assert (made.grace, made.jitter) == (timedelta(minutes=5), timedelta(seconds=30))
    assert made.finish_within == timedelta(minutes=30)
    assert (made.start, made.end) == (datetime(2026, 3, 10, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
    assert made.rule == {
        "cron": "30 2 * * 1-5",
        "timezone": "Europe/Berlin",
        "start": "2026-03-10T00:00:00Z",
        "end": "2026-04-01T00:00:00Z",
    }
    assert made.next_at == datetime(2026, 3, 10, 2, 30, tzinfo=BERLIN)
    assert (made.overridden, made.declared, made.last_at, made.last_job) == ((), {}, None, None)


def test_created_twice(app: Lineshaft, report: Task[..., Any, Any]) -> None:
    """A name is taken once; with `exist_ok` the one that exists becomes like the new one, or stays when it is."""
    app.schedules.create("nightly", report.new(), every="1h")
    with pytest.raises(ScheduleError, match="'nightly' exists already"):
        app.schedules.create("nightly", report.new(), every="1h")
    before = app.schedules.get("nightly")
    assert app.schedules.create("nightly", report.new(), exist_ok=True, every="1h") == before
    after = app.schedules.create("nightly", report.new("b"), exist_ok=True, every="2h")
    assert (after.rule["every"], after.args, after.created_at) == ("2h", (["b"], {}), before.created_at)


def test_wrong_ones_are_refused(app: Lineshaft, report: Task[..., Any, Any]) -> None:
    """What is wrong is refused with the schedule's name and the reason, and nothing is stored."""
    create: Any = app.schedules.create
    with pytest.raises(ScheduleError, match="schedule 'n': cron='x'"):
        create("n", report.new(), cron="x")
    with pytest.raises(ScheduleError, match="schedule 'n': at="):
        create("n", report.new(), at=datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(ScheduleError, match=r"schedule 'n': .* is not a job that is not stored yet"):
        create("n", report, every="1h")
    with pytest.raises(ScheduleError, match="schedule 'n': unexpected 'queue'"):
        create("n", report.new(), every="1h", queue="q")
    with pytest.raises(ScheduleError, match="it has a run_at"):
        create("n", report.options(run_at=datetime(2030, 1, 1, tzinfo=UTC)).new(), every="1h")
    with pytest.raises(ScheduleError, match="it has a connection="):
        create("n", report.options(connection=object()).new(), every="1h")
    with pytest.raises(ScheduleError, match="on_conflict='error'"):
        create("n", report.options(unique=Unique(on_conflict="error")).new(), every="1h")
    with pytest.raises(ScheduleError, match=r"begins with 'lineshaft.'"):
        create("lineshaft.prune", report.new(), every="1h")
    assert app.schedules.list() == []


def test_unknown_names(app: Lineshaft) -> None:
    """Every call about a schedule that there is not raises the same error."""
    for call in (
        lambda: app.schedules.get("x"),
        lambda: app.schedules.next("x"),
        lambda: app.schedules.history("x"),
        lambda: app.schedules.update("x", overlap="skip"),
        lambda: app.schedules.reset("x"),
        lambda: app.schedules.delete("x"),
        lambda: app.schedules.pause("x"),
        lambda: app.schedules.resume("x"),
        lambda: app.schedules.run("x"),
    ):
        with pytest.raises(ScheduleNotFound, match="no schedule is named 'x'"):
            call()
    assert issubclass(ScheduleNotFound, LookupError)


def test_next(app: Lineshaft, report: Task[..., Any, Any], clock: ManualClock) -> None:
    """The next ticks come in the schedule's zone, over a change of the clocks, and without jitter."""
    app.schedules.create("daily", report.new(), cron="30 2 * * *", timezone="Europe/Berlin", jitter="1h")
    clock.advance("26d")
    app.schedules.update("daily", cron="30 2 * * *", jitter="30m")
    assert [one.isoformat() for one in app.schedules.next("daily", 2)] == [
        "2026-03-03T02:30:00+01:00",  # overdue: nobody leads in this test
        "2026-03-04T02:30:00+01:00",
    ]
    app.schedules.pause("daily")
    assert [one.isoformat() for one in app.schedules.next("daily", 3)] == [
        "2026-03-29T03:00:00+02:00",  # the clocks skip half past two
        "2026-03-30T02:30:00+02:00",
        "2026-03-31T02:30:00+02:00",
    ]
    with pytest.raises(ConfigError, match="n=0 must be a whole number"):
        app.schedules.next("daily", 0)


def test_next_after_a_finish(app: Lineshaft, report: Task[..., Any, Any], clock: ManualClock) -> None:
    """Of a rule that counts from the end of a job, only the next tick is known."""
    app.schedules.create("serial", report.new(), every="1h", since="finish")
    assert len(app.schedules.next("serial", 5)) == 1


def test_last_ones(app: Lineshaft, report: Task[..., Any, Any], clock: ManualClock) -> None:
    """There are no more ticks than there are."""
    app.schedules.create("twice", report.new(), at=[datetime(2030, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)])
    assert [one.year for one in app.schedules.next("twice", 5)] == [2030, 2031]


def test_update(app: Lineshaft, report: Task[..., Any, Any], clock: ManualClock, row: Row) -> None:
    """What is named is changed, the rest stays; another rule has its next tick from now on."""
    app.schedules.create("nightly", report.new("a"), cron="0 3 * * *", timezone="Europe/Berlin", overlap="skip")
    clock.advance("1h")
    changed = app.schedules.update("nightly", timezone="Asia/Tokyo", jitter="1m", priority="low", tags=["x"])
    assert (changed.rule, changed.overlap) == ({"cron": "0 3 * * *", "timezone": "Asia/Tokyo"}, "skip")
    assert (changed.jitter, changed.priority, changed.tags) == (timedelta(minutes=1), -50, ("x",))
    assert changed.next_at == datetime(2026, 3, 3, 3, tzinfo=ZoneInfo("Asia/Tokyo"))
    assert changed.overridden == ()
    changed = app.schedules.update("nightly", every="2h", new_job=report.new("b"))
    assert (changed.rule["every"], changed.args, changed.timezone) == ("2h", (["b"], {}), "Asia/Tokyo")
    assert changed.updated_at > changed.created_at
    stored = row("nightly")
    assert (stored.version, stored.due_at) == (3, clock.now())


def test_update_refuses(app: Lineshaft, report: Task[..., Any, Any], row: Row) -> None:
    """A wrong change is refused as a wrong schedule is, and changes nothing."""
    app.schedules.create("nightly", report.new(), every="1h")
    update: Any = app.schedules.update
    with pytest.raises(ScheduleError, match="schedule 'nightly': jitter=2h is longer than the 1h"):
        update("nightly", jitter="2h")
    with pytest.raises(ScheduleError, match="schedule 'nightly': a schedule got cron= and every="):
        update("nightly", cron="@daily", every="1h")
    with pytest.raises(ScheduleError, match="schedule 'nightly': unexpected 'args'"):
        update("nightly", args=(1,))
    assert row("nightly").version == 1


def test_update_of_a_watch(app: Lineshaft, report: Task[..., Any, Any]) -> None:
    """What is only expected of a task has a rule, and nothing that concerns jobs."""
    app.schedules.expect("reported", report, every="1h")
    assert app.schedules.update("reported", every="2h").rule["every"] == "2h"
    with pytest.raises(ScheduleError, match="'reported': unexpected 'queue'"):
        app.schedules.update("reported", queue="q")
    with pytest.raises(ScheduleError, match="'reported': since='finish' counts from the end of jobs"):
        app.schedules.update("reported", since="finish")


def test_same_again(app: Lineshaft, report: Task[..., Any, Any], row: Row) -> None:
    """A change to what it is already is none: the version, and with it every tick, stays."""
    app.schedules.create("nightly", report.new(), every="1h")
    app.schedules.update("nightly", every="1h", overlap="allow")
    app.schedules.resume("nightly")
    assert row("nightly").version == 1


def test_reset(app: Lineshaft, report: Task[..., Any, Any]) -> None:
    """What a person changed of the code's word is taken back in part or whole."""
    app.schedule(every="1h", name="hourly", overlap="skip", jitter="1m", kwargs={"name": "a"})(report)
    app.schedules.sync()
    changed = app.schedules.update("hourly", every="2h", overlap="queue", jitter=0, new_job=report.new("b"), queue="q")
    assert changed.overridden == ("args", "jitter", "overlap", "queue", "rule")
    assert changed.declared == {
        "args": ([], {"name": "a"}),
        "jitter": timedelta(minutes=1),
        "overlap": "skip",
        "queue": "default",
        "rule": {"every": "1h", "timezone": "UTC"},
    }
    assert changed.jitter == timedelta(0)
    assert app.schedules.reset("hourly", "rule", "queue").overridden == ("args", "jitter", "overlap")
    assert app.schedules.get("hourly").rule["every"] == "1h"
    with pytest.raises(ScheduleError, match="'hourly': 'queue' is not overridden; what is: args, jitter, overlap"):
        app.schedules.reset("hourly", "queue")
    back = app.schedules.reset("hourly")
    assert (back.overridden, back.overlap, back.args) == ((), "skip", ([], {"name": "a"}))
    assert app.schedules.reset("hourly") == back


def test_pause_and_resume(app: Lineshaft, report: Task[..., Any, Any], clock: ManualClock) -> None:
    """A pause says who and why; going on begins with the next tick from then on."""
    app.schedules.create("hourly", report.new(), every="1h")
    paused = app.schedules.pause("hourly", by="Ada", reason="paper jam")
    assert (paused.state, paused.next_at, paused.paused_by, paused.pause_reason) == ("paused", None, "Ada", "paper jam")
    clock.advance("5h")
    assert app.schedules.update("hourly", paused=True) == paused
    assert app.schedules.pause("hourly") == paused
    back = app.schedules.update("hourly", paused=False)
    assert (back.state, back.paused_at, back.paused_by, back.pause_reason) == ("active", None, None, None)
    assert back.next_at == datetime(2026, 3, 2, 18, tzinfo=BERLIN)
    with pytest.raises(ConfigError, match=r"reason=.* of a pause must be a text"):
        app.schedules.pause("hourly", reason="x" * 1_001)


def test_delete(app: Lineshaft, report: Task[..., Any, Any]) -> None:
    """What was created at run time goes with its history; its jobs stay, and the name is free."""
    app.schedules.create("hourly", report.new(), every="1h")
    job = app.schedules.run("hourly")
    app.schedules.delete("hourly")
    assert app.schedules.list() == []
    app.schedules.create("hourly", report.new(), every="1h")
    assert app.schedules.history("hourly") == []
    assert app.jobs.get(job.id).state == "queued"


def test_run(app: Lineshaft, report: Task[..., Any, Any], clock: ManualClock) -> None:
    """A person's run is enqueued whatever the pause and the overlap say, and stands in the history as such."""
    made = app.schedules.create("hourly", report.new("a", pages=2), every="1h", overlap="skip")
    app.schedules.pause("hourly")
    first, second = app.schedules.run("hourly"), app.schedules.run("hourly")
    assert first.id != second.id
    assert (first.name, first.args, first.state) == ("report", (["a"], {"pages": 2}), "queued")
    assert first.meta["schedule"] == "hourly"
    ticks = app.schedules.history("hourly")
    assert [(one.run, one.state, one.job_id) for one in ticks] == [
        ("manual", "open", second.id),
        ("manual", "open", first.id),
    ]
    assert [one.job_state for one in ticks] == ["queued", "queued"]
    assert [one.schedule for one in app.schedules.history("hourly", limit=1)] == ["hourly"]
    assert app.schedules.history("hourly", before=made.created_at) == []


def test_run_tells(app: Lineshaft, report: Task[..., Any, Any]) -> None:
    """Who listens to enqueued jobs hears of those that a person runs."""
    heard: list[str] = []
    app.on("enqueued")(lambda event: heard.append(event.job_id))
    app.schedules.create("hourly", report.new(), every="1h")
    assert heard == [app.schedules.run("hourly").id]


def test_run_of_a_unique_job(app: Lineshaft, report: Task[..., Any, Any]) -> None:
    """Where a unique job exists, a run gives that one, and the history says so."""
    app.schedules.create("hourly", report.options(unique=Unique()).new("a"), every="1h")
    first = app.schedules.run("hourly")
    again = app.schedules.run("hourly")
    assert (again.id, again.existing, first.existing) == (first.id, True, False)
    assert app.schedules.history("hourly")[0].note == f"job {first.id} has its unique key"


def test_run_of_a_full_queue(app: Lineshaft, report: Task[..., Any, Any]) -> None:
    """A full queue refuses a run as it refuses an enqueue, and nothing is stored."""
    app.schedules.create("hourly", report.options(queue="tiny").new(), every="1h")
    app.queues.update("tiny", max_depth=1)
    app.schedules.run("hourly")
    with pytest.raises(QueueFull):
        app.schedules.run("hourly")
    assert len(app.schedules.history("hourly")) == 1


def test_run_is_sent_again(app: Lineshaft, report: Task[..., Any, Any], clock: ManualClock) -> None:
    """A run whose answer was lost is sent again, and is the same job."""
    from lineshaft.app.schedules.manual import fire

    app.schedules.create("hourly", report.new(), every="1h")

    held = app.schedules._row("hourly")
    definition = read_definition(held.declared)

    def send(*, is_resend: bool) -> str:
        return app._store.write(lambda tx, _: fire(tx, (), held, definition, clock.now(), is_resend=is_resend)).job_id

    first = send(is_resend=False)
    assert send(is_resend=True) == first
    assert app.jobs.count() == 1


def test_the_stores_own(app: Lineshaft, report: Task[..., Any, Any]) -> None:
    """The store's own schedules may be given another rule or paused, and nothing else."""
    ensure_chores(app._store.engine, app._store.engine.clock.now())
    name = app.schedules.list()[0].name
    found = app.schedules.get(name)
    assert (found.source, found.task, found.queue, found.args) == ("system", None, None, ([], {}))
    assert app.schedules.update(name, every="3h").overridden == ("rule",)
    ensure_chores(app._store.engine, app._store.engine.clock.now())
    assert app.schedules.get(name).rule["every"] == "3h"
    assert app.schedules.pause(name).state == "paused"
    with pytest.raises(ScheduleError, match="unexpected 'overlap'"):
        app.schedules.update(name, overlap="skip")
    with pytest.raises(ScheduleError, match="it is the store's own"):
        app.schedules.delete(name, force=True)
    with pytest.raises(ScheduleError, match="it enqueues no jobs"):
        app.schedules.run(name)
    with pytest.raises(ScheduleError, match="is declared by the store itself; take another name"):
        app._store.write(lambda tx, _: _refuse(app, tx, name))


def _refuse(app: Lineshaft, tx: Any, name: str) -> None:
    from lineshaft.app.schedules.schedules import _taken

    row = records.get_schedule(tx, name)
    assert row is not None
    raise ScheduleError(_taken(row))


def test_names_of_the_code_are_taken(app: Lineshaft, report: Task[..., Any, Any]) -> None:
    """A name that code declares, or declared, cannot be created at run time."""
    app.schedule(every="1h", name="hourly")(report)
    app.schedules.sync()
    with pytest.raises(ScheduleError, match=r"'hourly' is declared by .*; take another name"):
        app.schedules.create("hourly", report.new(), every="1h", exist_ok=True)
    app._declarations.clear()
    app.schedules.sync()
    with pytest.raises(ScheduleError, match=r"was declared by .* and is removed; delete it first"):
        app.schedules.create("hourly", report.new(), every="1h")
    app.schedules.delete("hourly")
    app.schedules.create("hourly", report.new(), every="1h")


@pytest.mark.parametrize("overrides", ["{", "[]", '{"job":5}'])
def test_another_versions_changes(app: Lineshaft, report: Task[..., Any, Any], overrides: str) -> None:
    """Changes that cannot be read hide no schedule: it is listed as unreadable, beside the others."""
    for name in ("hourly", "well"):
        app.schedules.create(name, report.new(), every="1h")
    spoil(app, lambda row: row._replace(overrides=overrides))
    listed = {one.name: one.in_words.startswith("unreadable") for one in app.schedules.list()}
    assert listed == {"hourly": True, "well": False}


def test_another_versions(app: Lineshaft, report: Task[..., Any, Any], clock: ManualClock) -> None:
    """A definition that a newer version wrote is neither changed nor carried out by guesswork."""
    app.schedules.create("hourly", report.new(), every="1h")
    spoil(app, lambda row: row._replace(declared=row.declared.replace('"recurrence"', '"recurs"')))
    for call in (
        lambda: app.schedules.update("hourly", every="2h"),
        lambda: app.schedules.next("hourly"),
        lambda: app.schedules.run("hourly"),
        lambda: app.schedules.backfill("hourly", to_datetime(clock.now()) - timedelta(hours=3)),
    ):
        with pytest.raises(ScheduleError, match="'hourly' was written by another version"):
            call()
    assert app.schedules.list()[0].in_words.startswith("unreadable")
    app.schedules.delete("hourly")


def spoil(app: Lineshaft, change: Callable[[ScheduleRow], ScheduleRow]) -> None:
    """Change the row of "hourly" as no call would."""

    def write(tx: Tx) -> None:
        held = records.lock_schedule(tx, "hourly")
        assert held is not None
        records.update_schedule(tx, change(held))

    app._store.write(lambda tx, _: write(tx))


def test_twins(app: Lineshaft, report: Task[..., Any, Any]) -> None:
    """Every call has an asynchronous twin."""
    app.schedule(every="1h", name="declared")(report)

    async def all_of_them() -> None:
        calls = app.schedules
        assert (await calls.async_()).added == ("declared",)
        await calls.acreate("hourly", report.new(), every="1h")
        assert len(await calls.alist()) == 2
        await calls.aupdate("declared", every="2h")
        assert (await calls.areset("declared")).overridden == ()
        assert (await calls.apause("hourly")).state == "paused"
        assert (await calls.aresume("hourly")).state == "active"
        assert (await calls.arun("hourly")).name == "report"
        assert len(await calls.ahistory("hourly")) == 1
        assert len(await calls.anext("hourly", 3)) == 3
        assert (await calls.aget("hourly")).task == "report"
        await calls.adelete("hourly")

    asyncio.run(all_of_them())


@pytest.mark.parametrize(
    "path, identity",
    [
        ("shop.work:app", "shop.work:app"),
        ("file:/srv/shop/work.py:app", "work:app"),
        ("shop.__main__:app", "shop:app"),
        (None, "tests.made.in"),
    ],
)
def test_identity(path: str | None, identity: str) -> None:
    """An app has one name for its schedules, whether its module is imported by a worker or run as a script."""
    assert identity_of(path, "tests.made.in") == identity


def test_ticks_of_a_worker(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A worker's start is all it takes: what is declared ticks, and the job knows its schedule and its tick."""

    @app.schedule(every="1h", since="finish", name="serial")
    @app.task(name="tell")
    def tell() -> None:
        gates.note((current_job().meta["schedule"], current_job().tick))

    start_worker(app, {"default": 1})
    schedule, tick = gates.next()
    assert schedule == "serial"
    assert tick == app.schedules.history("serial")[-1].at
