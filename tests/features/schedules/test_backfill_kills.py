"""A backfill with real processes: whoever leads is killed again and again, and each tick has its one job."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tests.plugins.apps import QUICK, eventually

if TYPE_CHECKING:
    from lineshaft import Lineshaft
    from tests.plugins.apps import Process, StartProcess

WORK = Path(__file__).parent / "process_work.py"
TICKS = 400
AT_MOST = 3
KILLS = 4


def test_leaders_that_are_killed(durable_app: Lineshaft, durable_url: str, start_process: StartProcess) -> None:
    """With the leader killed four times on its way, every tick has one job, never more than three at once."""

    @durable_app.task(name="report")
    def report() -> None: ...

    def start() -> Process:
        worker = start_process(WORK, durable_url, json.dumps({**QUICK, "lease": "2s"}))
        worker.expect("ready")
        return worker

    schedules = durable_app.schedules
    schedules.create("hourly", report.new(), every="1h")
    schedules.pause("hourly")  # an hour may strike meanwhile
    until = datetime(2026, 6, 1, tzinfo=UTC)
    run = schedules.backfill("hourly", until - timedelta(hours=TICKS), until, at_most=AT_MOST).id
    workers, most = {one.pid: one for one in (start(), start())}, 0

    def has_come_to(count: int) -> bool:
        nonlocal most
        [found] = schedules.backfills("hourly")
        most = max(most, found.unfinished)
        return found.enqueued >= count or found.state == "done"

    for number in range(KILLS):
        eventually(lambda number=number: has_come_to((number + 1) * TICKS // (KILLS + 2)), limit=60)
        leader = eventually(lambda: next((one.pid for one in durable_app.workers.list() if one.leads), None))
        workers.pop(leader).kill()
        fresh = start()
        workers[fresh.pid] = fresh
    eventually(lambda: has_come_to(TICKS) and schedules.backfills("hourly")[0].state == "done", limit=60)
    ticks = schedules.history("hourly", limit=2 * TICKS)
    assert sorted(tick.at for tick in ticks) == [until - timedelta(hours=back) for back in range(TICKS, 0, -1)]
    assert {tick.run for tick in ticks} == {run}
    jobs = list(durable_app.jobs.iter(name="report"))
    assert {job.id for job in jobs} == {tick.job_id for tick in ticks}
    assert {job.state for job in jobs} == {"completed"}
    assert len(jobs) == TICKS
    assert most <= AT_MOST
