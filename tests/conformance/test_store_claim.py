"""Claim on every engine: in order, once, never from a paused queue; due jobs are let in, overdue ones expire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineshaft.clock import HOUR, SECOND
from lineshaft.store import control
from lineshaft.store.claim import Expired, cancel_requests, claim_jobs, expire_overdue, next_due, promote_due
from lineshaft.store.finish import Progress, save_progress
from lineshaft.transitions import PutBack, Stage, State
from tests.plugins.engines import (
    ERROR,
    KEPT_UNTIL,
    NOW,
    WORKER,
    claim_held,
    finish,
    new_row,
    open_engine,
    row_of,
    state_in,
    store_rows,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft.engines.base import Engine
    from lineshaft.store.claim import Claimed
    from tests.plugins.engines import MakeJob

    Place = tuple[int, int, str]
    Race = Callable[[int, Callable[[int], list[Place]]], list[list[Place]]]


def claim(engine: Engine, limit: int, *, queue: str = "default", worker: int = WORKER, now: int = NOW) -> list[Claimed]:
    return engine.write(lambda tx: claim_jobs(tx, queue=queue, limit=limit, worker=worker, now=now))


def promote(engine: Engine, now: int) -> int:
    return engine.write(lambda tx: promote_due(tx, now))


def expire(engine: Engine, now: int = NOW) -> list[Expired]:
    return engine.write(lambda tx: expire_overdue(tx, now=now, expires_at=KEPT_UNTIL))


def test_order_is_priority_then_time_then_id(engine: Engine) -> None:
    """Higher priority first, then the earlier time, then the smaller id, whatever the order of arrival."""
    rows = [new_row(rank=rank, run_at=NOW - age) for rank in (0, 100, -100) for age in (0, 5) for _ in range(2)]
    store_rows(engine, *reversed(rows))
    claimed = [one.held.id for one in claim(engine, 12)]
    expected = sorted(rows, key=lambda row: (row["rank"], row["run_at"], row["id"]))
    assert claimed == [row["id"] for row in expected]


def test_claim_takes_what_comes_first(engine: Engine) -> None:
    """A claim of two out of five takes the two that come first."""
    rows = [new_row(rank=-rank) for rank in range(5)]
    store_rows(engine, *rows)
    assert [one.held.id for one in claim(engine, 2)] == [rows[4]["id"], rows[3]["id"]]


def test_a_claim_is_numbered_and_counted(engine: Engine) -> None:
    """Each taking has the next claim number and the next attempt, and names its worker and its start."""
    store_rows(engine, new_row(args="[[7],{}]", tags='["q3"]'))
    [job] = claim(engine, 1)
    assert (job.held.claim, job.held.attempt, job.held.worker, job.args, job.tags) == (
        1,
        1,
        WORKER,
        "[[7],{}]",
        '["q3"]',
    )
    finish(engine, PutBack(job.held, Stage.READY, NOW, ERROR))
    [again] = claim(engine, 1, worker=8, now=NOW + 5)
    assert (again.held.claim, again.held.attempt, again.held.worker) == (2, 2, 8)
    assert row_of(engine, again.held.id).started_at == NOW + 5


def test_a_claim_forgets_the_progress_of_the_attempt_before(engine: Engine, make_job: MakeJob) -> None:
    """A new attempt starts without progress."""
    job = make_job(State.RUNNING)
    engine.write(lambda tx: save_progress(tx, [Progress(job.held, '[0.5,"half",1]')], worker=WORKER))
    assert row_of(engine, job.id).progress == '[0.5,"half",1]'
    finish(engine, PutBack(job.held, Stage.READY, NOW))
    claim(engine, 1)
    assert row_of(engine, job.id).progress is None


@pytest.mark.parametrize(
    "state", [s for s in State if s not in {State.QUEUED, State.BLOCKED, State.WAITING, State.SKIPPED}]
)
def test_only_queued_jobs_are_claimed(engine: Engine, make_job: MakeJob, state: State) -> None:
    """A job in any other state than queued is not given out."""
    make_job(state)
    assert claim(engine, 10, worker=8, now=NOW + 9 * HOUR) == []


def test_other_queues_are_left_alone(engine: Engine) -> None:
    """A claim takes jobs of its queue only."""
    store_rows(engine, new_row(queue="pdf"), new_row(queue="mail"))
    assert [one.queue for one in claim(engine, 10, queue="mail")] == ["mail"]


def test_a_paused_queue_gives_nothing_until_it_is_resumed(engine: Engine) -> None:
    """Pausing stops claims at once, resuming lets them go on; other queues never notice."""
    store_rows(engine, new_row(), new_row(queue="mail"))
    engine.write(lambda tx: control.pause_queue(tx, "default", now=NOW))
    assert claim(engine, 1) == []
    assert len(claim(engine, 1, queue="mail")) == 1
    engine.write(lambda tx: control.resume_queue(tx, "default"))
    assert len(claim(engine, 1)) == 1


def test_due_jobs_are_let_in(engine: Engine, make_job: MakeJob) -> None:
    """Scheduled and retrying jobs become queued when their time has come, not before."""
    retrying, scheduled = make_job(State.RETRYING), make_job(State.SCHEDULED, run_at=NOW + HOUR + 1)
    assert engine.read(next_due) == NOW + HOUR
    assert promote(engine, NOW + HOUR - 1) == 0
    assert promote(engine, NOW + HOUR) == 1
    assert [state_in(engine, one.id) for one in (retrying, scheduled)] == [State.QUEUED, State.SCHEDULED]
    assert engine.read(next_due) == NOW + HOUR + 1
    assert promote(engine, NOW + HOUR + 1) == 1
    assert engine.read(next_due) is None


def test_promotion_goes_by_time_in_portions(engine: Engine) -> None:
    """At most 1,000 jobs are let in at once, those that have waited longest first."""
    store_rows(engine, *(new_row(run_at=NOW - number, stage=0) for number in range(1_001)))
    assert promote(engine, NOW) == 1_000
    assert engine.read(next_due) == NOW
    assert promote(engine, NOW) == 1


def test_overdue_jobs_expire(engine: Engine) -> None:
    """A job whose deadline passed before its first attempt ends as expired; one whose deadline is to come does not."""
    carried: Any = {"tenant": "acme", "options": '{"timeout":1}', "context": '{"user":7}'}
    late, early, never = new_row(deadline=NOW), new_row(deadline=NOW + 1), new_row()
    scheduled = new_row(deadline=NOW - SECOND, run_at=NOW + HOUR, stage=0, **carried)
    store_rows(engine, late, early, never, scheduled)
    assert {*expire(engine)} == {
        Expired(late["id"], "shop.render", "default", 0, 0, None, None, None),
        Expired(scheduled["id"], "shop.render", "default", 0, 0, **carried),
    }
    assert {state_in(engine, one["id"]) for one in (late, scheduled)} == {State.EXPIRED}
    assert {state_in(engine, one["id"]) for one in (early, never)} == {State.QUEUED}
    assert row_of(engine, late["id"]).finished_at == NOW
    assert expire(engine) == []


@pytest.mark.parametrize("state", [State.RUNNING, State.CANCELLING, State.RETRYING, State.COMPLETED], ids=str)
def test_started_jobs_do_not_expire(engine: Engine, make_job: MakeJob, state: State) -> None:
    """A deadline is about the start: what has started, or waits for its next attempt, goes on."""
    job = make_job(state, deadline=NOW + 1)
    assert expire(engine, NOW + 2) == []
    assert state_in(engine, job.id) is state


def test_lost_job_does_not_expire_while_it_waits_for_its_next_attempt(engine: Engine, make_job: MakeJob) -> None:
    """A job that lost its process gets its attempt number back, yet it is retrying and may not expire."""
    job = make_job(State.RUNNING, deadline=NOW + 1)
    finish(engine, PutBack(job.held, Stage.RETRYING, NOW + HOUR, ERROR, gives_attempt_back=True, losses=1))
    assert expire(engine, NOW + 2) == []
    assert state_in(engine, job.id) is State.RETRYING


def test_cancel_requests_name_job_and_claim(engine: Engine, make_job: MakeJob) -> None:
    """A worker hears of those of its jobs that were asked to stop, and of no others."""
    asked, running = make_job(State.CANCELLING), make_job(State.RUNNING)
    ids = [asked.id, running.id]
    assert engine.read(lambda tx: cancel_requests(tx, worker=WORKER, ids=ids)) == {(asked.id, 1)}
    assert engine.read(lambda tx: cancel_requests(tx, worker=8, ids=ids)) == set()
    assert engine.read(lambda tx: cancel_requests(tx, worker=WORKER, ids=[running.id])) == set()


@pytest.mark.parametrize("name", ["sqlite", "memory", "postgres"])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    places=st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 3)), min_size=1, max_size=40),
    limits=st.lists(st.integers(1, 7), min_size=2, max_size=3),
)
def test_concurrent_claims_share_the_queue(
    request: pytest.FixtureRequest, race: Race, name: str, places: list[tuple[int, int]], limits: list[int]
) -> None:
    """However claimers race, each job is taken by exactly one, none is lost, and each takes them in order."""
    engine: Engine = request.getfixturevalue(f"{name}_engine")
    rows = [new_row(rank=rank, run_at=NOW + at) for rank, at in places]
    store_rows(engine, *rows)

    def take_all(number: int) -> list[Place]:
        taken: list[Place] = []
        while found := claim(engine, limits[number], worker=number + 1):
            taken += [(one.rank, one.turn, one.held.id) for one in found]
        return taken

    shares = race(len(limits), take_all)
    assert sorted(job_id for share in shares for _, _, job_id in share) == sorted(row["id"] for row in rows)
    assert all(share == sorted(share) for share in shares)


def test_a_claim_passes_over_what_is_being_taken(postgres_engine: Engine) -> None:
    """While one claim is not committed another takes the next jobs without waiting for it."""
    first, second = new_row(), new_row()
    store_rows(postgres_engine, first, second)
    with postgres_engine.transaction() as tx:
        [taken] = claim_jobs(tx, queue="default", limit=1, worker=WORKER, now=NOW)
        [other] = claim(postgres_engine, 2, worker=8)
    assert (taken.held.id, other.held.id) == (first["id"], second["id"])


def test_separate_engines_never_claim_the_same_job(durable_engine: Engine, address: str, race: Race) -> None:
    """Engines that share nothing but the store, as processes do, divide its jobs among them."""
    store_rows(durable_engine, *(new_row() for _ in range(60)))
    engines = [open_engine(address) for _ in range(3)]

    def take_all(number: int) -> list[Place]:
        taken: list[Place] = []
        while found := claim_held(engines[number], limit=3, worker=number + 1):
            taken += [(0, 0, one.id) for one in found]
        return taken

    taken = [place for share in race(3, take_all) for place in share]
    assert len(taken) == len(set(taken)) == 60
    for engine in engines:
        engine.close()
