"""Schedules as a user meets them: on time, through the loss of a leader too, and for nothing while nothing is due."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psutil
import pytest

from lineshaft import Lineshaft
from lineshaft.clock import SECOND
from lineshaft.engines.base import Engine
from lineshaft.engines.postgres.transaction import PostgresTx
from lineshaft.engines.sqlite.transaction import SqliteTx
from lineshaft.features.schedules.batch import work_off
from lineshaft.features.schedules.declared import new_row
from lineshaft.features.schedules.definition import Definition, stored_text
from lineshaft.features.schedules.records import ScheduleRow, TickRow, list_ticks, next_due
from lineshaft.options import JobTemplate
from lineshaft.recurrence import Cron, Once, Recurrence
from lineshaft.store.copy import SCHEDULES, load_rows
from tests.plugins.apps import Process, StartProcess, eventually

MAY_TAKE_SECONDS: Final = 5.0
AT_ONCE_SECONDS: Final = 1.0
LATE_SECONDS: Final = 0.1
CPU_SHARE: Final = 0.01
QUIET: Final = 2_000
HERD: Final = 1_000
BEATS: Final = 4
SETTINGS: Final = {"heartbeat": "1s", "silence": "3s", "lease": "60s"}
"""As they are when nobody says anything."""


def create(app: Lineshaft, name: str, **options: Any) -> None:
    """Store a schedule of the task `quick` of the worker's app."""
    app.schedules.create(name, app._intake.by_name("work.quick", (name,), {}), **options)


def load(engine: Engine, recurrence: Recurrence, count: int) -> None:
    """Store many schedules at once, whose job nobody is there to run."""
    definition = Definition(recurrence, job=JobTemplate("nobody.runs.this", "[[],{}]", "other", 4))
    rows = [new_row(f"many{n}", "runtime", stored_text(definition), None, engine.clock.now()) for n in range(count)]
    engine.write(lambda tx: load_rows(tx, SCHEDULES, [_looked_at(row) for row in rows]))  # type: ignore[arg-type]


def _looked_at(row: ScheduleRow) -> ScheduleRow:
    return row._replace(due_at=row.next_at)


def ticks_of(app: Lineshaft, name: str) -> list[TickRow]:
    """Return the recorded ticks of a schedule, the latest first."""
    found: list[TickRow] = app._store.engine.read(lambda tx: list_ticks(tx, name, limit=1_000))
    return found


def led_by(app: Lineshaft, worker: Process) -> bool:
    """Tell whether this worker leads."""
    return any(one.leads and one.pid == worker.pid for one in app.workers.list())


@pytest.fixture
def ticking(durable_url: str, make_app: Callable[..., Lineshaft], worker_process: StartProcess) -> Any:
    """An app whose schedule ticks every second, its leader, and a second worker, with the settings as they are."""
    app = make_app(durable_url)
    create(app, "steady", every="1s", catch_up="none")
    leader = worker_process(durable_url, **SETTINGS)
    eventually(lambda: led_by(app, leader))
    worker_process(durable_url, **SETTINGS)
    eventually(lambda: ticks_of(app, "steady"))
    return app, leader


@pytest.mark.parametrize(
    "number, limit", [(signal.SIGKILL, MAY_TAKE_SECONDS), (signal.SIGTERM, AT_ONCE_SECONDS)], ids=["kill", "stop"]
)
def test_ticks_go_on_without_the_leader(ticking: Any, number: signal.Signals, limit: float) -> None:
    """Ticks that come while nobody leads are enqueued, each once: within 5 s of a kill -9, at once on a clean stop."""
    app, leader = ticking
    asked_at = app._store.engine.clock.now()
    leader.send(number)
    leader.end()
    eventually(lambda: ticks_of(app, "steady")[0].at > asked_at + (limit + 1) * SECOND)
    ticks = [tick for tick in ticks_of(app, "steady") if tick.at > asked_at]
    late = max((tick.decided_at - tick.at) / SECOND for tick in ticks)
    print(f"the latest tick behind a leader's end by {number.name}: {late:.2f} s")  # noqa: T201 - the promised figure
    assert late < limit
    instants = sorted(tick.at for tick in ticks)
    assert instants == list(range(instants[0], instants[-1] + 1, SECOND)), "a tick is missing"
    assert instants[0] <= asked_at + SECOND
    assert all(tick.job for tick in ticks)


def test_a_due_job_starts_on_time(
    durable_url: str, make_app: Callable[..., Lineshaft], worker_process: StartProcess
) -> None:
    """Among thousands that are not due, a tick's job starts within 100 ms of its time at the median."""
    app = make_app(durable_url)
    load(app._store.engine, new_years_day(), QUIET)
    worker_process(durable_url, **SETTINGS)
    start = datetime.now(UTC) + timedelta(seconds=0.5)
    for number in range(10):
        create(app, f"steady{number}", every="1s", start=start + timedelta(seconds=number / 10))
    eventually(lambda: app.jobs.count(state="completed") >= 40)
    jobs = [one for one in app.jobs.iter() if one.started_at is not None]
    late = sorted((one.started_at - datetime.fromisoformat(one.meta["tick"])).total_seconds() for one in jobs)
    print(f"{app._store.engine.dialect}: jobs of ticks start {late[len(late) // 2] * 1000:.1f} ms late at the median")  # noqa: T201 - the figure
    assert late[0] >= -LATE_SECONDS
    assert late[len(late) // 2] < LATE_SECONDS


def test_many_schedules_cost_nothing_while_none_is_due(
    durable_url: str, make_app: Callable[..., Lineshaft], worker_process: StartProcess
) -> None:
    """With thousands of schedules of which none is due, the process that leads uses less than 1 % of one core."""
    app = make_app(durable_url)
    app.schedules.list()  # the store is there from now on
    load(app._store.engine, new_years_day(), QUIET)
    worker = worker_process(durable_url, **SETTINGS)
    app.enqueue("work.quick", "warm").result(20)
    eventually(lambda: led_by(app, worker) and app.schedules.list()[0].source == "system")
    process, began, before = psutil.Process(worker.pid), time.monotonic(), beat_of(app)
    start = process.cpu_times()
    eventually(lambda: (beat_of(app) - before).total_seconds() >= BEATS)
    end = process.cpu_times()
    used = (end.user + end.system - start.user - start.system) / (time.monotonic() - began)
    print(f"{app._store.engine.dialect}: {used:.2%} of a core with {QUIET} schedules")  # noqa: T201 - the figure
    assert used < CPU_SHARE


def test_a_herd_is_worked_off_in_few_statements(durable_app: Lineshaft, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand schedules that are due in one instant take one transaction, and no more statements than ten do."""
    app, counts = durable_app, Counter[str]()
    for transaction in (SqliteTx, PostgresTx):
        monkeypatch.setattr(transaction, "run", counting(transaction.run, counts))
    app.schedules.list()
    engine = app._store.engine
    load(engine, Recurrence(Once((engine.clock.now() + SECOND // 2,))), HERD)
    eventually(lambda: engine.read(next_due) <= engine.clock.now())
    counts.clear()
    batch = engine.write(lambda tx: work_off(tx, app._features, engine.clock))
    assert len(batch.ticks) == len(batch.looks) == HERD
    assert batch.next_due is None
    assert counts.total() <= 12, counts


def counting(run: Callable[..., Any], counts: Counter[str]) -> Callable[..., Any]:
    """Wrap a transaction's `run` so that it counts statements."""

    def counted(tx: Any, statement: Any, *args: Any, **kwargs: Any) -> Any:
        counts[statement.name] += 1
        return run(tx, statement, *args, **kwargs)

    return counted


def beat_of(app: Lineshaft) -> datetime:
    """Return when the only worker last said that it lives."""
    [worker] = app.workers.list()
    return worker.heartbeat_at


def new_years_day() -> Recurrence:
    """Return a rule of which no tick comes while a test runs."""
    day = (datetime.now(UTC) + timedelta(days=100)).strftime("%-d %-m")
    return Recurrence(Cron(f"0 3 {day} *"), "Europe/Berlin")
