"""Finish on every engine: what becomes of a claimed job is written once, and by who holds it alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from lineshaft.clock import HOUR
from lineshaft.engines.base import Sql, Statement
from lineshaft.outcomes import JobError
from lineshaft.store import control, inspect
from lineshaft.store.finish import LogLines, Progress, save_logs, save_progress, write_transitions
from lineshaft.transitions import Close, Complete, PutBack, Reason, Stage, State
from tests.plugins.engines import (
    ERROR,
    KEPT_UNTIL,
    NOW,
    WORKER,
    claim_held,
    finish,
    new_row,
    row_of,
    state_in,
    store_rows,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft.engines.base import Engine
    from lineshaft.store.finish import Written
    from lineshaft.transitions import Held, Transition
    from tests.plugins.engines import Made, MakeJob

    Ending = Callable[[Held], Transition]

ENDINGS: dict[str, Ending] = {
    "complete": lambda held: Complete(held, '"done"'),
    "die": lambda held: Close(held, Stage.DEAD, Reason.ERROR, ERROR),
    "cancel": lambda held: Close(held, Stage.CANCELLED, None, None),
    "retry": lambda held: PutBack(held, Stage.RETRYING, NOW + HOUR, ERROR),
    "release": lambda held: PutBack(held, Stage.READY, None, gives_attempt_back=True),
}
EXPIRY = Statement(
    "expiry",
    Sql.parse("select expires_at from lineshaft_job where id = :id", "sqlite", ()),
    Sql.parse("select expires_at from lineshaft.history where id = %(id)s::uuid", "postgres", ()),
)
every_ending = pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)


def test_completed_job_keeps_its_result(engine: Engine, make_job: MakeJob) -> None:
    """A completed job has its result, its end and its attempt, and no worker claims it again."""
    job = make_job(State.RUNNING)
    written = finish(engine, Complete(job.held, '{"pages":[1,"\\u0000ä"]}'), now=NOW + 9)
    row = row_of(engine, job.id)
    assert written == [Complete(job.held, '{"pages":[1,"\\u0000ä"]}')]
    assert (row.stage, row.result, row.finished_at, row.attempt) == (10, '{"pages":[1,"\\u0000ä"]}', NOW + 9, 1)
    assert claim_held(engine) == []


def test_result_that_is_not_kept_is_null(engine: Engine, make_job: MakeJob) -> None:
    """No result is stored for a job whose result is not kept."""
    job = make_job(State.RUNNING)
    finish(engine, Complete(job.held, None))
    assert row_of(engine, job.id).result is None


@pytest.mark.parametrize("reason", [Reason.ERROR, Reason.TIMEOUT, Reason.LOST, Reason.REJECTED], ids=str)
def test_dead_job_says_why(engine: Engine, make_job: MakeJob, reason: Reason) -> None:
    """A dead letter keeps its reason and every attempt's error, in order."""
    job = make_job(State.RUNNING)
    finish(engine, PutBack(job.held, Stage.READY, NOW, ERROR))
    [held] = claim_held(engine)
    last = JobError(2, "OSError", 'two\nlines, "quotes" and ☃', "trace\nback", NOW + 1)
    finish(engine, Close(held, Stage.DEAD, reason, last))
    row = row_of(engine, job.id)
    assert (row.stage, row.reason) == (Stage.DEAD, reason)
    assert [msgspec.json.decode(line, type=JobError) for line in (row.errors or "").splitlines()] == [ERROR, last]


def test_put_back_job_waits_as_told(engine: Engine, make_job: MakeJob) -> None:
    """A job put back has its new stage and time, and no worker."""
    job = make_job(State.RUNNING)
    finish(engine, PutBack(job.held, Stage.RETRYING, NOW + 5, ERROR))
    row = row_of(engine, job.id)
    assert (row.stage, row.run_at, row.worker, row.attempt, row.claim) == (Stage.RETRYING, NOW + 5, None, 1, 1)


def test_released_job_keeps_place_and_attempt_number(engine: Engine, make_job: MakeJob) -> None:
    """A job given back untouched stands where it stood, its attempt not counted, its claim number used up."""
    job = make_job(State.RUNNING, run_at=NOW - 77)
    finish(engine, PutBack(job.held, Stage.READY, None, gives_attempt_back=True))
    row = row_of(engine, job.id)
    assert (row.run_at, row.attempt, row.claim) == (NOW - 77, 0, 1)
    [again] = claim_held(engine)
    assert (again.attempt, again.claim) == (1, 2)


def test_losses_isolation_and_unknown_since_travel(engine: Engine, make_job: MakeJob) -> None:
    """What a loss or an unknown task left behind is known at the next claim, and only patience starts anew."""
    job = make_job(State.RUNNING)
    finish(engine, PutBack(job.held, Stage.READY, NOW, losses=1, isolates=True, unknown_since=NOW - 3))
    [held] = claim_held(engine)
    assert (held.losses, held.unknown_since) == (1, NOW - 3)
    finish(engine, PutBack(held, Stage.READY, NOW, losses=1))
    [held] = claim_held(engine)
    assert (held.losses, held.unknown_since) == (2, None)


@every_ending
@pytest.mark.parametrize("stale", ["claim", "worker", "id"])
def test_the_fence_holds(engine: Engine, make_job: MakeJob, ending: Ending, stale: str) -> None:
    """A stale claim number, another worker or another id changes nothing and is not reported as written."""
    job = make_job(State.RUNNING)
    before = row_of(engine, job.id)
    held, worker = job.held, WORKER
    if stale == "claim":
        held = held._replace(claim=held.claim - 1)
    elif stale == "worker":
        worker = 8
    else:
        held = held._replace(id=new_row()["id"], key=None if held.key is None else held.key + 1)
    assert finish(engine, ending(held), worker=worker) == []
    assert row_of(engine, job.id) == before


@every_ending
def test_a_rescued_job_is_fenced_off_from_its_former_worker(engine: Engine, make_job: MakeJob, ending: Ending) -> None:
    """Once another worker has the job, the former one can change nothing."""
    job = make_job(State.RUNNING)
    finish(engine, PutBack(job.held, Stage.READY, None, gives_attempt_back=True))
    claim_held(engine, worker=8)
    before = row_of(engine, job.id)
    assert finish(engine, ending(job.held)) == []
    assert row_of(engine, job.id) == before


@every_ending
def test_a_resent_finish_is_reported_and_changes_nothing(engine: Engine, make_job: MakeJob, ending: Ending) -> None:
    """Writing again after a commit whose answer was lost reports the transition as written and changes nothing."""
    job = make_job(State.RUNNING)
    finish(engine, ending(job.held))
    before = row_of(engine, job.id)
    assert finish(engine, ending(job.held), now=NOW + 1) == [ending(job.held)]
    assert row_of(engine, job.id) == before


def test_a_late_finish_cannot_end_a_revived_job(engine: Engine, make_job: MakeJob) -> None:
    """Claim numbers go on through a revival, so the finish of the former life is refused."""
    job = make_job(State.DEAD)
    engine.write(lambda tx: control.revive_jobs(tx, [job.id], now=NOW))
    [held] = claim_held(engine)
    assert held.claim == 2
    assert finish(engine, Complete(job.held, "1")) == []
    assert state_in(engine, job.id) is State.RUNNING


def test_a_mixed_batch_reports_what_took_effect(engine: Engine, make_job: MakeJob) -> None:
    """Of a batch of every kind with one lost lease each, exactly the others are written."""
    endings = [ENDINGS[name] for name in ("complete", "die", "retry") for _ in range(3)]
    jobs: list[Made] = [make_job(State.RUNNING) for _ in endings]
    transitions = [ending(job.held) for ending, job in zip(endings, jobs, strict=True)]
    lost = transitions[::3]
    for one in lost:
        finish(engine, PutBack(one.held, Stage.READY, None))
    claim_held(engine, limit=3, worker=8)
    written = finish(engine, *transitions)
    assert sorted(written, key=lambda one: one.held.id) == sorted(
        (one for one in transitions if one not in lost), key=lambda one: one.held.id
    )
    assert {state_in(engine, one.held.id) for one in lost} == {State.RUNNING}


def test_more_than_one_chunk_is_written(engine: Engine) -> None:
    """Six hundred jobs are finished with their own results in one call."""
    store_rows(engine, *(new_row() for _ in range(600)))
    held = claim_held(engine, limit=600)
    written = finish(engine, *(Complete(one, f'"{one.id}"') for one in reversed(held)))
    assert {one.held for one in written} == set(held)
    found = engine.read(lambda tx: inspect.list_jobs(tx, inspect.Filter(), limit=1_000, cursor=None))
    assert {row.result for row in found} == {f'"{one.id}"' for one in held}


def test_a_job_asked_to_stop_comes_back_at_once(engine: Engine, make_job: MakeJob) -> None:
    """Whatever delay its outcome asked for, a job with a cancel request is ready at once, so that it can be ended."""
    job = make_job(State.CANCELLING)
    finish(engine, PutBack(job.held, Stage.RETRYING, NOW + HOUR, ERROR), now=NOW + 3)
    row = row_of(engine, job.id)
    assert (row.stage, row.run_at, bool(row.cancel_requested)) == (Stage.READY, NOW + 3, True)


def test_progress_is_written_by_the_holder_alone(engine: Engine, make_job: MakeJob) -> None:
    """The holder's progress is stored; that of a stale claim or another worker is not."""
    job = make_job(State.RUNNING)

    def save(held: Held, text: str, worker: int = WORKER) -> None:
        engine.write(lambda tx: save_progress(tx, [Progress(held, text)], worker=worker))

    save(job.held, "[0.5,null,1]")
    save(job.held._replace(claim=2), "[0.6,null,1]")
    save(job.held, "[0.7,null,1]", worker=8)
    assert row_of(engine, job.id).progress == "[0.5,null,1]"


def test_a_finished_job_takes_no_progress(engine: Engine, make_job: MakeJob) -> None:
    """Progress that arrives after the end is dropped."""
    job = make_job(State.COMPLETED)
    engine.write(lambda tx: save_progress(tx, [Progress(job.held, "[0.5,null,1]")], worker=WORKER))
    assert row_of(engine, job.id).progress is None


def test_logs_are_kept_a_claim(engine: Engine, make_job: MakeJob) -> None:
    """Each claim has its log, later lines of the same claim replace the former, in the order of the claims."""
    job = make_job(State.RUNNING)
    second = job.held._replace(claim=2, attempt=2)
    logs = [LogLines(second, "b1"), LogLines(job.held, "a1")]
    engine.write(lambda tx: save_logs(tx, logs, now=NOW))
    engine.write(lambda tx: save_logs(tx, [LogLines(job.held, "a1\na2")], now=NOW))
    assert engine.read(lambda tx: inspect.get_logs(tx, job.id)) == [(1, "a1\na2"), (2, "b1")]


def test_each_transition_has_its_own_expiry(engine: Engine, make_job: MakeJob) -> None:
    """How long a finished job is kept is decided by its own transition and stored with it."""
    done, dead = make_job(State.RUNNING), make_job(State.RUNNING)
    both: list[Transition] = [Complete(done.held, None), Close(dead.held, Stage.DEAD, Reason.ERROR, ERROR)]

    def keep(one: Transition) -> int:
        return KEPT_UNTIL + isinstance(one, Close)

    engine.write(lambda tx: write_transitions(tx, both, worker=WORKER, now=NOW, keep=keep))
    expiries = [engine.read(lambda tx: tx.run(EXPIRY, {"id": one.id})) for one in (done, dead)]  # noqa: B023 - run at once
    assert expiries == [[(KEPT_UNTIL,)], [(KEPT_UNTIL + 1,)]]


def test_a_repeated_write_is_told_from_a_first_one(engine: Engine, make_job: MakeJob) -> None:
    """`is_certain` says that this transaction wrote all that it returns; what was written before makes it doubtful."""
    first, second = make_job(State.RUNNING), make_job(State.RUNNING)
    one, two = Complete(first.held, None), Close(second.held, Stage.DEAD, Reason.ERROR, None)

    def write(*transitions: Transition) -> Written:
        return engine.write(
            lambda tx: write_transitions(tx, transitions, worker=WORKER, now=NOW, keep=lambda _: KEPT_UNTIL)
        )

    assert write(one).is_certain
    again = write(one, two)
    assert (list(again), again.is_certain) == ([one, two], False)
