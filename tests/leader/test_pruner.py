"""The leader prunes, and what that looks like to those who ask for a pruned job."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft import JobNotFound, ResultGone
from lineshaft.clock import DAY, HOUR, MINUTE
from lineshaft.config import Retention
from lineshaft.errors import StoreUnavailableError
from lineshaft.feature import PRUNE_JOBS, PRUNE_LEFTOVERS
from lineshaft.features.unique.feature import UniqueFeature
from lineshaft.leader.pruner import Pruner
from lineshaft.transitions import Complete
from tests.plugins.apps import LIMIT, eventually
from tests.plugins.engines import NOW, claim_held, finish, new_row, store_rows
from tests.plugins.pruning import pruning

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lineshaft import Lineshaft
    from lineshaft.engines.base import Engine
    from tests.plugins.apps import StartWorker

KEPT: dict[str, Any] = {"completed": "1h", "dead": "2d"}


def prune_later(app: Lineshaft, later: int) -> None:
    """Have a pruner do all its chores, so much later."""
    engine = app.runtime().engine
    for _ in pruning(Pruner(engine, app.settings.retention, [UniqueFeature()]), engine.clock.now() + later):
        pass


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


def test_the_leader_prunes_by_itself(tmp_path: Path, make_app: Callable[..., Lineshaft]) -> None:
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
    connection.close()
    with app.worker() as running:
        begin_chore(running.worker, PRUNE_JOBS.name)
        eventually(lambda: app.jobs.count() == 0)


def begin_chore(worker: Any, name: str) -> None:
    """Have the leader's pruner do a chore, as the tick of its schedule does."""
    [pruner] = [duty for duty in worker.leader._duties if duty.name == "pruner"]
    assert pruner.begin_chore(name)


def test_an_unknown_chore_is_refused(sqlite_engine: Engine) -> None:
    """Whoever begins a chore hears whether there is one of that name."""
    pruner = Pruner(sqlite_engine, Retention(), [])
    assert not pruner.begin_chore("lineshaft.sing")
    assert not pruner.is_busy


def test_a_chore_begins_anew_after_an_error(sqlite_engine: Engine) -> None:
    """A store that is away costs a chore nothing: it is done from its start when the store is back."""
    store_rows(sqlite_engine, new_row())
    finish(sqlite_engine, Complete(claim_held(sqlite_engine)[0], "1"))
    pruner, now = Pruner(sqlite_engine, Retention(), []), NOW + 3 * DAY
    pruner.begin_chore(PRUNE_JOBS.name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_engine, "write", _away)
        with pytest.raises(StoreUnavailableError):
            pruner.step(now)
    assert pruner.doing is None
    while pruner.is_busy:
        now = pruner.step(now)
    assert pruner.pruned == 1


def _away(operation: object) -> None:
    msg = "the store is away"
    raise StoreUnavailableError(msg)


def test_a_new_term_begins_the_chore_anew(sqlite_engine: Engine) -> None:
    """What was under way when the lead was lost is done from its start: somebody else may have gone on with it."""
    pruner = Pruner(sqlite_engine, Retention(), [])
    pruner.begin_chore(PRUNE_LEFTOVERS.name)
    now = pruner.step(NOW)
    assert pruner.doing == "runs lineshaft.prune-leftovers"
    pruner.begin(now)
    assert (pruner.doing, pruner.is_busy) == (None, True)


def test_pruning_takes_a_fifth_of_the_time(sqlite_engine: Engine) -> None:
    """A piece that took a second is followed by four seconds in which others write, whoever wakes the pruner."""
    pruner = Pruner(sqlite_engine, Retention(), [])
    moments = iter([5.0, 6.0])
    pruner.begin_chore(PRUNE_JOBS.name)
    pruner._next_chore()
    pruner._pieces = iter([None, None])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_engine.clock, "monotonic", lambda: next(moments))
        assert pruner.step(NOW) == NOW + 4_000_000
        assert pruner.step(NOW + 1) == NOW + 4_000_000


def test_chores_are_done_in_the_order_of_their_beginnings(sqlite_engine: Engine) -> None:
    """A chore that is begun again and again does not keep another one from its turn."""
    pruner = Pruner(sqlite_engine, Retention(), [])
    pruner.begin_chore(PRUNE_JOBS.name)
    now, done = NOW, []
    pruner.begin_chore(PRUNE_LEFTOVERS.name)
    while pruner.is_busy and len(done) < 50:
        now = pruner.step(now)
        done.append(pruner.doing)
        pruner.begin_chore(PRUNE_JOBS.name)
    assert "runs lineshaft.prune-leftovers" in done


def test_an_idle_pruner_sleeps(sqlite_engine: Engine) -> None:
    """With no chore to do it asks the store for nothing and wants to be called much later."""
    pruner = Pruner(sqlite_engine, Retention(), [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_engine, "read", _away)
        patch.setattr(sqlite_engine, "write", _away)
        assert pruner.step(NOW) > NOW + 10 * MINUTE
