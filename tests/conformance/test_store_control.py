"""What a person does to jobs and queues, on every engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lineshaft.clock import HOUR
from lineshaft.store import control, inspect
from lineshaft.store.finish import LogLines, save_logs
from lineshaft.transitions import MOVES, Complete, PutBack, Stage, State
from tests.plugins.engines import ERROR, KEPT_UNTIL, NOW, claim_held, finish, new_row, row_of, state_in, store_rows

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine
    from tests.plugins.engines import MakeJob

STORED = [s for s in State if s not in {State.BLOCKED, State.WAITING, State.SKIPPED}]
every_state = pytest.mark.parametrize("state", STORED, ids=str)


def cancel(engine: Engine, *ids: str, now: int = NOW) -> tuple[set[str], set[str]]:
    return engine.write(lambda tx: control.cancel_jobs(tx, ids, now=now, expires_at=KEPT_UNTIL))


def revive(engine: Engine, *ids: str) -> int:
    return engine.write(lambda tx: control.revive_jobs(tx, ids, now=NOW))


def reschedule(engine: Engine, job_id: str, run_at: int) -> bool:
    return engine.write(lambda tx: control.reschedule_job(tx, job_id, run_at=run_at, now=NOW))


def delete(engine: Engine, *ids: str) -> int:
    return engine.write(lambda tx: control.delete_jobs(tx, ids))


def exists(engine: Engine, job_id: str) -> bool:
    return engine.read(lambda tx: inspect.get_job(tx, job_id)) is not None


@every_state
def test_cancel(engine: Engine, make_job: MakeJob, state: State) -> None:
    """A waiting job is cancelled at once, a running one is asked to stop, a finished one is left as it is."""
    job = make_job(state)
    cancelled, asked = cancel(engine, job.id, now=NOW + 1)
    if state.is_final:
        assert (cancelled, asked, state_in(engine, job.id)) == (set(), set(), state)
    elif state in {State.RUNNING, State.CANCELLING}:
        assert (cancelled, asked, state_in(engine, job.id)) == (set(), {job.id}, State.CANCELLING)
    else:
        assert (cancelled, asked, state_in(engine, job.id)) == ({job.id}, set(), State.CANCELLED)
        assert row_of(engine, job.id).finished_at == NOW + 1


def test_cancel_of_many_tells_them_apart(engine: Engine, make_job: MakeJob) -> None:
    """Of several jobs, waiting ones are cancelled and running ones asked; unknown ids count for nothing."""
    running, done, waiting = make_job(State.RUNNING), make_job(State.COMPLETED), make_job(State.QUEUED)
    found = cancel(engine, running.id, done.id, waiting.id, new_row()["id"])
    assert found == ({waiting.id}, {running.id})


def test_a_job_may_complete_after_it_was_asked_to_stop(engine: Engine, make_job: MakeJob) -> None:
    """A request is no end: the holder still decides what becomes of the job."""
    job = make_job(State.CANCELLING)
    finish(engine, Complete(job.held, "1"))
    assert state_in(engine, job.id) is State.COMPLETED


@every_state
def test_revive(engine: Engine, make_job: MakeJob, state: State) -> None:
    """Dead, cancelled and expired jobs are tried again; no other is touched."""
    job = make_job(state)
    before = row_of(engine, job.id)
    if state in MOVES["revive"][0]:
        assert revive(engine, job.id) == 1
        assert state_in(engine, job.id) is State.QUEUED
    else:
        assert revive(engine, job.id) == 0
        assert row_of(engine, job.id) == before


def test_a_revived_job_has_a_fresh_budget(engine: Engine, make_job: MakeJob) -> None:
    """Attempt numbers and errors go on; the budget, the losses, the deadline and the cancel request start anew."""
    job = make_job(State.DEAD, max_attempts=4, deadline=NOW + HOUR)
    revive(engine, job.id)
    row = row_of(engine, job.id)
    assert (row.attempt, row.max_attempts, row.deadline, row.reason, row.finished_at) == (1, 5, None, None, None)
    assert row.errors is not None
    [held] = claim_held(engine)
    assert (held.attempt, held.attempts_before, held.losses) == (2, 1, 0)


def test_a_job_may_be_revived_again_and_again(engine: Engine, make_job: MakeJob) -> None:
    """Each revival grants the same budget on top of the attempts used up."""
    job = make_job(State.DEAD, max_attempts=3)
    for attempts in (1, 2, 3):
        revive(engine, job.id)
        assert row_of(engine, job.id).max_attempts == attempts + 3
        [held] = claim_held(engine)
        finish(engine, PutBack(held, Stage.RETRYING, NOW + HOUR, ERROR))
        cancel(engine, job.id)


@every_state
def test_reschedule(engine: Engine, make_job: MakeJob, state: State) -> None:
    """A job that waits gets another time; any other stays as it is."""
    job = make_job(state)
    before = row_of(engine, job.id)
    if state in MOVES["reschedule"][0]:
        assert reschedule(engine, job.id, NOW + 9)
        assert (state_in(engine, job.id), row_of(engine, job.id).run_at) == (State.SCHEDULED, NOW + 9)
        assert reschedule(engine, job.id, NOW)
        assert (state_in(engine, job.id), row_of(engine, job.id).run_at) == (State.QUEUED, NOW)
    else:
        assert not reschedule(engine, job.id, NOW + 9)
        assert row_of(engine, job.id) == before


@every_state
def test_delete(engine: Engine, make_job: MakeJob, state: State) -> None:
    """Every job can be deleted but one that runs."""
    job = make_job(state)
    is_allowed = state in MOVES["delete"][0]
    assert delete(engine, job.id, new_row()["id"]) == is_allowed
    assert exists(engine, job.id) is not is_allowed


def test_logs_go_with_their_job(engine: Engine, make_job: MakeJob) -> None:
    """A deleted job leaves no log behind; a running one keeps its own."""
    dead, running = make_job(State.DEAD), make_job(State.RUNNING)
    logs = [LogLines(dead.held, "x"), LogLines(running.held, "y")]
    engine.write(lambda tx: save_logs(tx, logs, now=NOW))
    delete(engine, dead.id, running.id)
    assert engine.read(lambda tx: inspect.get_logs(tx, dead.id)) == []
    assert engine.read(lambda tx: inspect.get_logs(tx, running.id)) == [(1, "y")]


def test_purge_removes_what_waits_in_one_queue(engine: Engine, make_job: MakeJob) -> None:
    """Queued, scheduled and retrying jobs of the queue go; running and finished ones and other queues stay."""
    kept = [make_job(State.RUNNING), make_job(State.COMPLETED), make_job(State.DEAD), make_job(queue="mail")]
    gone = [make_job(State.RETRYING), make_job(State.QUEUED), make_job(State.SCHEDULED)]
    assert engine.write(lambda tx: control.purge_queue(tx, "default")) == 3
    assert all(exists(engine, one.id) for one in kept)
    assert not any(exists(engine, one.id) for one in gone)


def test_purge_goes_in_portions(engine: Engine) -> None:
    """At most 1,000 jobs go at once, so that no transaction grows without bound."""
    store_rows(engine, *(new_row() for _ in range(1_003)))
    assert [engine.write(lambda tx: control.purge_queue(tx, "default")) for _ in range(3)] == [1_000, 3, 0]


def test_queue_settings_are_independent(engine: Engine) -> None:
    """Pausing, resuming and limiting a queue each leave the other setting alone."""
    engine.write(lambda tx: control.pause_queue(tx, "pdf", now=NOW, by="ann", reason="no ink"))
    engine.write(lambda tx: control.limit_queue(tx, "pdf", 5))
    assert [one[:5] for one in engine.read(inspect.list_queues)] == [("pdf", NOW, 5, "ann", "no ink")]
    engine.write(lambda tx: control.resume_queue(tx, "pdf"))
    assert [one[:5] for one in engine.read(inspect.list_queues)] == [("pdf", None, 5, None, None)]
    engine.write(lambda tx: control.pause_queue(tx, "pdf", now=NOW + 1))
    engine.write(lambda tx: control.limit_queue(tx, "pdf", None))
    assert [one[:5] for one in engine.read(inspect.list_queues)] == [("pdf", NOW + 1, None, None, None)]
