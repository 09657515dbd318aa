"""What becomes of the jobs of a worker that is gone, and what is told of it."""

from __future__ import annotations

import pytest

from lineshaft.clock import MINUTE, SECOND
from lineshaft.config import Retention, load_settings
from lineshaft.engines.base import Engine
from lineshaft.errors import StoreUnavailableError
from lineshaft.events import JobEvent, Subscribers
from lineshaft.store.claim import claim_jobs
from lineshaft.store.control import revive_jobs
from lineshaft.store.upkeep import Suspect
from lineshaft.transitions import Close, Reason, Stage, State
from lineshaft.worker import rescuer as rescuer_module
from lineshaft.worker.rescuer import Rescuer
from tests.plugins.engines import finish, new_row, state_in, store_rows


def lose(engine: Engine, job: str, worker: int) -> list[str]:
    """Have a worker take the only job and be gone, and return the kinds of what is told of the rescue."""
    told: list[JobEvent] = []
    subscribers = Subscribers()
    subscribers.add(("rescued", "dead"), told.append)
    now = engine.clock.now()
    [claimed] = engine.write(lambda tx: claim_jobs(tx, queue="default", limit=1, worker=worker, now=now))
    assert claimed.held.id == job
    Rescuer(engine, -1, load_settings({}, {}), Retention(), subscribers)._rescue(Suspect(worker, True, "away", 1))
    return [one.kind for one in told]


def store_job(engine: Engine, max_attempts: int) -> str:
    """Enqueue a job that may run now, and return its id."""
    row = new_row(run_at=engine.clock.now() - SECOND, max_attempts=max_attempts)
    store_rows(engine, row)
    return row["id"]


def test_each_loss_is_told_as_what_it_is(engine: Engine) -> None:
    """A job that is put back is told as rescued; one that was lost as often as it may be, as dead."""
    job = store_job(engine, 2)
    assert [lose(engine, job, worker) for worker in (1, 2)] == [["rescued"], ["rescued"]]
    assert lose(engine, job, 3) == ["dead"]
    assert state_in(engine, job) == State.DEAD


def test_a_revived_job_may_be_lost_as_often_as_a_new_one(engine: Engine) -> None:
    """The attempts before a revival give no job more losses than its policy does."""
    job = store_job(engine, 2)
    now = engine.clock.now()
    for worker in (1, 2):
        [claimed] = engine.write(lambda tx, one=worker: claim_jobs(tx, queue="default", limit=1, worker=one, now=now))
        finish(engine, Close(claimed.held, Stage.DEAD, Reason.ERROR, None), worker=worker, now=now)
        assert engine.write(lambda tx: revive_jobs(tx, [job], now=now)) == 1
    assert [lose(engine, job, worker) for worker in (3, 4, 5)] == [["rescued"], ["rescued"], ["dead"]]


def test_a_rescue_is_done_whole_or_not_at_all(engine: Engine) -> None:
    """While a worker has its row it has its jobs: one that lives after all must not claim them beside their code."""
    job = store_job(engine, 2)
    now = engine.clock.now()
    engine.write(lambda tx: claim_jobs(tx, queue="default", limit=1, worker=1, now=now))
    rescuer = Rescuer(engine, -1, load_settings({}, {}), Retention(), Subscribers())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rescuer_module, "remove_worker", _away)
        with pytest.raises(StoreUnavailableError):
            rescuer._rescue(Suspect(1, True, "away", 1))
    assert state_in(engine, job) == State.RUNNING


def _away(*_: object) -> None:
    msg = "the store is away"
    raise StoreUnavailableError(msg)


def test_nobody_is_judged_by_a_clock_that_was_set_meanwhile(engine: Engine) -> None:
    """What was found while the clock was set, or the process slept, is not believed."""
    store_job(engine, 2)
    now = engine.clock.now()
    engine.write(lambda tx: claim_jobs(tx, queue="default", limit=1, worker=1, now=now))
    rescuer = Rescuer(engine, -1, load_settings({}, {}), Retention(), Subscribers())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rescuer, "_dead", lambda _: [Suspect(1, True, "away", 1)])
        rescuer.step(now)  # the first one gives the others a round
        moments = iter([now + SECOND, now - 5 * MINUTE])
        patch.setattr(engine.clock, "now", lambda: next(moments))
        assert rescuer.step(now + SECOND) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rescuer, "_dead", lambda _: [Suspect(1, True, "away", 1)])
        assert rescuer.step(now + 2 * SECOND) == 1
