"""Workers prune by themselves, and what that looks like to those who ask for a pruned job."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft import JobNotFound, ResultGone
from lineshaft.clock import DAY, HOUR, MINUTE, ManualClock
from lineshaft.config import Retention
from lineshaft.errors import StoreUnavailableError
from lineshaft.features.unique import UniqueFeature
from lineshaft.transitions import Complete
from lineshaft.worker.pruner import Pruner, PruningThread
from tests.plugins.apps import LIMIT, eventually
from tests.plugins.engines import NOW, claim_held, finish, new_row, store_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lineshaft import Lineshaft
    from lineshaft.engines.base import Engine
    from tests.plugins.apps import StartWorker

KEPT: dict[str, Any] = {"completed": "1h", "dead": "2d"}


def prune_later(app: Lineshaft, later: int) -> None:
    """Have a pruner do what is due within a minute, so much later."""
    engine = app.runtime().engine
    pruner = Pruner(engine, app.settings.retention, [UniqueFeature()])
    now = engine.clock.now() + later
    until = now + MINUTE
    while now < until:
        now = pruner.step(now)


@pytest.fixture
def keeping_app(store_url: str, make_app: Callable[..., Lineshaft]) -> Lineshaft:
    """An app that keeps completed jobs for an hour and dead ones for two days."""
    return make_app(store_url, retention=KEPT)


def test_outcomes_are_kept_as_the_app_says(keeping_app: Lineshaft, start_worker: StartWorker) -> None:
    """Retention, and `keep_result` of a task, decide when a job goes; a pruned job has no result and is not found."""
    app = keeping_app
    app.task(name="quick")(lambda: 1)
    app.task(name="kept", keep_result="10d")(lambda: 2)
    app.task(name="quiet", keep_result=False)(lambda: 3)
    app.task(name="broken", retry=None)(_fail)
    quick, kept, quiet, broken = (app.enqueue(name) for name in ("quick", "kept", "quiet", "broken"))
    handle = app.jobs.get(quick.id)
    start_worker(app)
    for job in (quick, kept, quiet, broken):
        job.wait(LIMIT)
    prune_later(app, HOUR // 2)
    assert app.jobs.count() == 4
    prune_later(app, HOUR + DAY)
    assert {job.id for job in app.jobs.list()} == {kept.id, broken.id}
    with pytest.raises(JobNotFound, match=quick.id):
        app.jobs.get(quick.id)
    with pytest.raises(ResultGone, match="not stored any more"):
        handle.result(timeout=LIMIT)
    with pytest.raises(JobNotFound):
        app.jobs.get(quick.id).wait(timeout=LIMIT)
    assert kept.result(timeout=LIMIT) == 2


def _fail() -> None:
    raise ValueError


def test_result_of_a_pruned_job_is_gone_for_coroutines_too(keeping_app: Lineshaft, start_worker: StartWorker) -> None:
    """`aresult` says so as `result` does."""
    keeping_app.task(name="quick")(lambda: 1)
    job = keeping_app.enqueue("quick")
    start_worker(keeping_app)
    keeping_app.jobs.get(job.id).wait(LIMIT)
    prune_later(keeping_app, HOUR + DAY)
    with pytest.raises(ResultGone, match=job.id):
        asyncio.run(job.aresult(timeout=LIMIT))


def test_a_worker_prunes_by_itself(tmp_path: Path, make_app: Callable[..., Lineshaft]) -> None:
    """A running worker deletes what has expired; nobody has to ask for it."""
    path = tmp_path / "jobs.db"
    app = make_app(f"sqlite:///{path}")
    app.task(name="quick")(lambda: 1)
    job = app.enqueue("quick")
    with app.worker():
        job.wait(timeout=LIMIT)
    with sqlite3.connect(path) as connection:
        connection.execute("update lineshaft_job set created_at = created_at - 200000000000, expires_at = 1")
        connection.execute("delete from lineshaft_block")
        connection.execute("delete from lineshaft_turn")
    connection.close()
    with app.worker():
        eventually(lambda: app.jobs.count() == 0)


def test_an_error_ends_the_turn_only(sqlite_engine: Engine) -> None:
    """A store that is away is met with patience: the turn ends, and the next one begins anew."""
    store_rows(sqlite_engine, new_row())
    finish(sqlite_engine, Complete(claim_held(sqlite_engine)[0], "1"))
    pruner, now = Pruner(sqlite_engine, Retention(), []), NOW + 3 * DAY
    pruner.step(now)
    thread = PruningThread(pruner, ManualClock(now))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_engine, "write", _away)
        assert thread._guarded_step() == pytest.approx(10)
    until = now + 2 * MINUTE
    while now < until:
        now = pruner.step(now)
    assert pruner.pruned == 1


def _away(operation: object) -> None:
    msg = "the store is away"
    raise StoreUnavailableError(msg)


def test_pruning_takes_a_fifth_of_the_time(sqlite_engine: Engine) -> None:
    """A piece that took a second is followed by four seconds in which others write."""
    pruner = Pruner(sqlite_engine, Retention(), [])
    now = sqlite_engine.clock.now()
    moments = iter([5.0, 6.0])
    pruner._begin(now)
    pruner._pieces, pruner._until = iter([None, None]), now + MINUTE
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_engine.clock, "monotonic", lambda: next(moments))
        assert pruner.step(now) == now + 4_000_000


def test_an_idle_pruner_sleeps_until_the_next_turn(sqlite_engine: Engine) -> None:
    """With nothing to do it is called once a minute."""
    pruner = Pruner(sqlite_engine, Retention(), [])
    now = start = sqlite_engine.clock.now()
    steps = 0
    while now < start + MINUTE:
        now = pruner.step(now)
        steps += 1
    assert start + MINUTE <= now < start + MINUTE + 1_000_000
    assert steps < 10
