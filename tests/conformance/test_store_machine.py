"""The store's operations in any order against a small model: one state a job, only listed moves, nothing lost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lineshaft.engines.base import Sql, Statement
from lineshaft.store import control, inspect
from lineshaft.store.claim import claim_jobs, expire_overdue, promote_due
from lineshaft.store.finish import write_transitions
from lineshaft.store.gates import Move, lock_and_read, read_gates, write_step
from lineshaft.store.line import Parked, Unclaimed, park_ready, park_unclaimed
from lineshaft.store.migrate import migrate
from lineshaft.transitions import FINAL, MOVES, UNFINISHED, Close, Complete, PutBack, Reason, Stage, State, state_of
from tests.plugins.engines import ERROR, KEPT_UNTIL, NOW, new_row, open_engine, store_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft.engines.base import Engine, Tx
    from lineshaft.transitions import Held, Transition

EMPTY = Statement(
    "empty",
    Sql.parse("delete from lineshaft_job;\ndelete from lineshaft_gate;\n", "sqlite", ()),
    Sql.parse("truncate lineshaft.job, lineshaft.history, lineshaft.gate", "postgres", ()),
)
LEGAL = {(a, b) for sources, targets, _ in MOVES.values() for a in sources for b in targets}
# A job that was put back after a cancel request is asked to stop from its next claim's first moment on.
CLAIM_OF_ASKED = (State.QUEUED, State.CANCELLING)
# Rank, delay, and time until the deadline of a new job, in microseconds.
NEW = st.tuples(st.integers(-2, 2), st.sampled_from([-1, 0, 0, 2]), st.sampled_from([None, None, 1, 4]))
HELD = {State.RUNNING, State.CANCELLING}
WAITING = {State.QUEUED, State.SCHEDULED, State.RETRYING}

GATE = "report=42"
ENDINGS: dict[str, Callable[[Held, int], Transition]] = {
    "complete": lambda held, _: Complete(held, "1"),
    "die": lambda held, _: Close(held, Stage.DEAD, Reason.ERROR, ERROR),
    "cancel": lambda held, _: Close(held, Stage.CANCELLED, None, None),
    "retry": lambda held, now: PutBack(held, Stage.RETRYING, now + 2, ERROR),
    "retry at once": lambda held, now: PutBack(held, Stage.READY, now, ERROR),
    "snooze": lambda held, now: PutBack(held, Stage.SCHEDULED, now + 1, gives_attempt_back=True),
    "release": lambda held, _: PutBack(held, Stage.READY, None, gives_attempt_back=True),
    "lose": lambda held, now: PutBack(held, Stage.RETRYING, now + 1, ERROR, gives_attempt_back=True, losses=1),
}
ENDING = st.sampled_from(sorted(ENDINGS))


@dataclass
class Model:
    """What a job has to look like."""

    id: str
    state: State
    rank: int
    run_at: int
    deadline: int | None
    attempt: int = 0
    attempts_before: int = 0
    is_asked: bool = False
    held: Held | None = None
    has_gate: bool = False
    """Whether it belongs to the gate, or stands in its line."""
    is_parked: bool = False


class StoreMachine(RuleBasedStateMachine):
    """Drives one store and the model beside it."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine, self.now = engine, NOW
        self.jobs: dict[str, Model] = {}
        self.written: list[Transition] = []
        engine.write(lambda tx: tx.run(EMPTY, {}))

    def has(self, *states: State) -> bool:
        """Tell whether any job is in one of these states."""
        return any(job.state in states for job in self.jobs.values())

    def pick(self, data: st.DataObject, *states: State) -> Model | None:
        """Draw one of the jobs in these states (none: any), None where there is none."""
        found = [job for job in self.jobs.values() if not states or job.state in states]
        return data.draw(st.sampled_from(found), label="job") if found else None

    def move(self, job: Model, state: State) -> None:
        """Note a move of the store, which the table of moves has to list."""
        pair = (job.state, state)
        assert pair in LEGAL or (pair == CLAIM_OF_ASKED and job.is_asked), f"no move leads from {pair[0]} to {pair[1]}"
        job.state = state

    @initialize(jobs=st.lists(NEW, min_size=2, max_size=4))
    def begin(self, jobs: list[tuple[int, int, int | None]]) -> None:
        """Start with a few jobs."""
        for one in jobs:
            self.enqueue(one)

    @rule(job=NEW)
    def enqueue(self, job: tuple[int, int, int | None]) -> None:
        """Store a job, now or for later."""
        rank, delay, deadline = job
        state = State.SCHEDULED if delay > 0 else State.QUEUED
        stage = Stage.SCHEDULED if delay > 0 else Stage.READY
        until = None if deadline is None else self.now + deadline
        row = new_row(rank=rank, run_at=self.now + delay, stage=int(stage), deadline=until)
        store_rows(self.engine, row)
        assert (None, state) in LEGAL
        self.jobs[row["id"]] = Model(row["id"], state, rank, self.now + delay, until)

    @precondition(lambda self: self.has(*State))
    @rule(data=st.data())
    def resend(self, data: st.DataObject) -> None:
        """Send a job again that was stored before, whatever became of it."""
        if job := self.pick(data):
            store_rows(self.engine, new_row(id=job.id), is_resend=True)

    @rule(ticks=st.integers(1, 3))
    def let_time_pass(self, ticks: int) -> None:
        """Move the time on and let in what has fallen due."""
        self.now += ticks
        due = [one for one in self.jobs.values() if one.state in WAITING - {State.QUEUED} and one.run_at <= self.now]
        assert self.engine.write(lambda tx: promote_due(tx, self.now)) == len(due)
        for job in due:
            self.move(job, State.QUEUED)

    @precondition(lambda self: self.has(State.QUEUED))
    @rule(limit=st.integers(1, 3), worker=st.integers(1, 2))
    def claim(self, limit: int, worker: int) -> None:
        """Take jobs; they come in order and numbered."""
        queued = [job for job in self.jobs.values() if job.state is State.QUEUED and not job.is_parked]
        first = sorted(queued, key=lambda job: (job.rank, job.run_at, job.id))[:limit]
        claimed = self.engine.write(
            lambda tx: claim_jobs(tx, queue="default", limit=limit, worker=worker, now=self.now)
        )
        assert [one.held.id for one in claimed] == [job.id for job in first]
        for job, one in zip(first, claimed, strict=True):
            self.move(job, State.CANCELLING if job.is_asked else State.RUNNING)
            job.attempt += 1
            assert one.held.claim == (job.held.claim if job.held else 0) + 1
            assert (one.held.attempt, one.held.attempts_before) == (job.attempt, job.attempts_before)
            job.held = one.held

    @precondition(lambda self: self.has(*HELD))
    @rule(data=st.data(), name=ENDING)
    def finish(self, data: st.DataObject, name: str) -> None:
        """End one of the running jobs, one way or another."""
        if job := self.pick(data, *HELD):
            self.end(job, name)

    @precondition(lambda self: self.has(State.QUEUED))
    @rule(data=st.data(), names=st.lists(ENDING, min_size=1, max_size=4))
    def work(self, data: st.DataObject, names: list[str]) -> None:
        """Claim and finish as a worker does, as long as there is something to do."""
        for name in names:
            if self.has(State.QUEUED):
                self.claim(limit=1, worker=1)
            self.finish(data, name)

    def end(self, job: Model, name: str) -> None:
        """Write an ending of a held job; only one that was asked to stop ends as cancelled."""
        if job.held is None or (name == "cancel" and not job.is_asked):
            return
        one = ENDINGS[name](job.held, self.now)
        assert self.write(one) == [one]
        self.written.append(one)
        self.apply(job, one)

    def apply(self, job: Model, one: Transition) -> None:
        """Do to the model what the transition says."""
        if isinstance(one, Complete):
            self.move(job, State.COMPLETED)
        elif isinstance(one, Close):
            self.move(job, State[one.stage.name])
        else:
            stage = Stage.READY if job.is_asked else one.stage
            self.move(job, state_of(stage, is_held=False, is_cancel_requested=job.is_asked))
            job.attempt -= one.gives_attempt_back
            job.has_gate = job.has_gate and stage == Stage.READY
            job.run_at = self.now if job.is_asked else job.run_at if one.run_at is None else one.run_at

    def write(self, one: Transition) -> list[Transition]:
        """Write one transition as its worker."""
        return self.engine.write(
            lambda tx: write_transitions(tx, [one], worker=one.held.worker, now=self.now, keep=lambda _: KEPT_UNTIL)
        )

    @precondition(lambda self: self.has(State.RUNNING))
    @rule(data=st.data())
    def park(self, data: st.DataObject) -> None:
        """Refuse a job that was just claimed: it stands in the gate's line and has not been tried."""
        if not (job := self.pick(data, State.RUNNING)) or job.held is None:
            return
        held = job.held
        self.step(parked=[Parked(held, GATE)], worker=held.worker)
        self.move(job, State.QUEUED)
        job.attempt -= 1
        job.has_gate = job.is_parked = True

    @precondition(lambda self: self.has(State.QUEUED))
    @rule(limit=st.integers(1, 3))
    def park_without_a_claim(self, limit: int) -> None:
        """Give ready jobs into the line that nobody has claimed and no gate has released, the first ones."""
        queued = [job for job in self.jobs.values() if job.state is State.QUEUED and not job.has_gate]
        first = sorted((job for job in queued if not job.is_asked), key=lambda job: (job.rank, job.run_at, job.id))
        found = self.engine.read(lambda tx: park_ready(tx, "default", limit))
        assert [one.id for one in found] == [job.id for job in first[:limit]]
        unclaimed = [Unclaimed(one, GATE) for one in found]
        assert self.engine.write(lambda tx: park_unclaimed(tx, unclaimed)) == len(found)
        self.step()
        for job in first[:limit]:
            job.has_gate = job.is_parked = True

    @rule(count=st.integers(0, 3))
    def admit(self, count: int) -> None:
        """Let the heads of the line in, in order."""
        line = [job for job in self.jobs.values() if job.is_parked]
        first = sorted(line, key=lambda job: (job.rank, job.run_at, job.id))[:count]
        assert self.step(releases={GATE: count}) == ({"default"} if first else set())
        for job in first:
            self.move(job, State.QUEUED)
            job.is_parked = False

    def step(self, **decided: Any) -> set[str]:
        """Do a step of the gate, and see that it is looked at again exactly while it has a line."""

        def decide(tx: Tx) -> set[str]:
            lock_and_read(tx, {GATE: "report"})
            return write_step(tx, moves=[Move(GATE, 0, None, self.now)], **decided)

        queues = self.engine.write(decide)
        has_line = self.engine.read(lambda tx: read_gates(tx, [GATE]))[GATE].wake_at is not None
        listed = self.engine.read(lambda tx: inspect.list_jobs(tx, inspect.Filter(), limit=1_000, cursor=None))
        assert has_line == any(row.stage == Stage.PARKED for row in listed)
        return queues

    @precondition(lambda self: self.written)
    @rule(data=st.data())
    def finish_again(self, data: st.DataObject) -> None:
        """Send a finish whose answer was lost; the invariant sees that nothing changed."""
        self.write(data.draw(st.sampled_from(self.written), label="transition"))

    @precondition(lambda self: self.has(*HELD))
    @rule(data=st.data(), is_stale=st.booleans(), name=st.sampled_from(["complete", "die", "release"]))
    def finish_without_a_lease(self, data: st.DataObject, name: str, *, is_stale: bool) -> None:
        """Try to finish on a stale claim or as another worker."""
        job = self.pick(data, *HELD)
        if job and job.held:
            held = job.held._replace(claim=job.held.claim - 1) if is_stale else job.held._replace(worker=3)
            assert self.write(ENDINGS[name](held, self.now)) == []

    @precondition(lambda self: self.has(*UNFINISHED))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Cancel any job."""
        if not (job := self.pick(data)):
            return
        found = self.engine.write(lambda tx: control.cancel_jobs(tx, [job.id], now=self.now, expires_at=KEPT_UNTIL))
        if job.state in HELD:
            assert found == (set(), {job.id})
            if job.state is State.RUNNING:
                self.move(job, State.CANCELLING)
            job.is_asked = True
        elif job.state in WAITING:
            assert found == ({job.id}, set())
            self.move(job, State.CANCELLED)
            job.is_parked = False
        else:
            assert found == (set(), set())

    @precondition(lambda self: self.has(*FINAL))
    @rule(data=st.data())
    def revive(self, data: st.DataObject) -> None:
        """Have any job tried again."""
        if not (job := self.pick(data)):
            return
        is_allowed = job.state in MOVES["revive"][0]
        assert self.engine.write(lambda tx: control.revive_jobs(tx, [job.id], now=self.now)) == is_allowed
        if is_allowed:
            self.move(job, State.QUEUED)
            self.jobs[job.id] = replace(
                job, run_at=self.now, attempts_before=job.attempt, deadline=None, is_asked=False, has_gate=False
            )

    @precondition(lambda self: self.has(*UNFINISHED))
    @rule(data=st.data(), delay=st.integers(-1, 3))
    def reschedule(self, data: st.DataObject, delay: int) -> None:
        """Give any job another time."""
        if not (job := self.pick(data)):
            return
        is_allowed = job.state in MOVES["reschedule"][0]
        at = self.now + delay
        assert self.engine.write(lambda tx: control.reschedule_job(tx, job.id, run_at=at, now=self.now)) == is_allowed
        if is_allowed:
            job.state, job.run_at = (State.SCHEDULED if delay > 0 else State.QUEUED), at
            job.has_gate = job.is_parked = False

    @precondition(lambda self: self.has(*State))
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """Delete any job."""
        if not (job := self.pick(data)):
            return
        is_allowed = job.state in MOVES["delete"][0]
        assert self.engine.write(lambda tx: control.delete_jobs(tx, [job.id])) == is_allowed
        if is_allowed:
            del self.jobs[job.id]

    @rule()
    def expire(self) -> None:
        """End the jobs whose deadline has passed."""
        overdue = [
            job
            for job in self.jobs.values()
            if job.state in MOVES["expire"][0]
            and job.deadline is not None
            and job.deadline <= self.now
            and job.attempt == job.attempts_before
        ]
        expired = self.engine.write(lambda tx: expire_overdue(tx, now=self.now, expires_at=KEPT_UNTIL))
        assert {one.id for one in expired} == {job.id for job in overdue}
        for job in overdue:
            self.move(job, State.EXPIRED)
            job.is_parked = False

    @invariant()
    def store_and_model_agree(self) -> None:
        """Compare every job, and that there is none more or fewer."""
        rows = self.engine.read(lambda tx: inspect.list_jobs(tx, inspect.Filter(), limit=1_000, cursor=None))
        assert [row.id for row in rows] == sorted(self.jobs, reverse=True)
        for row in rows:
            job = self.jobs[row.id]
            stored = state_of(row.stage, is_held=row.worker is not None, is_cancel_requested=bool(row.cancel_requested))
            assert (stored, row.run_at, row.attempt) == (job.state, job.run_at, job.attempt)
            assert (row.stage == Stage.PARKED) == job.is_parked

    @invariant()
    def occupancy_follows_the_jobs(self) -> None:
        """Compare who is in the gate: nothing counts places but the jobs themselves."""
        inside = [job.state in HELD for job in self.jobs.values() if job.has_gate and self.is_inside(job)]
        for gate in self.engine.read(lambda tx: read_gates(tx, [GATE])).values():
            assert (gate.held, gate.ready) == (sum(inside), len(inside) - sum(inside))

    def is_inside(self, job: Model) -> bool:
        """Tell whether a job of the gate is held, or was let in and waits to be claimed."""
        return job.state in HELD or (job.state is State.QUEUED and not job.is_parked)


def drive(engine: Engine, examples: int, steps: int) -> None:
    class OnEngine(StoreMachine):
        def __init__(self) -> None:
            super().__init__(engine)

    chosen = settings(max_examples=examples, stateful_step_count=steps, deadline=None)
    run_state_machine_as_test(OnEngine, settings=chosen)


@pytest.mark.timeout(300)  # a failure takes time to be made small
def test_any_order_of_operations_on_sqlite() -> None:
    """On SQLite in memory, whatever is done in whatever order, each job is in the one state that the moves lead to."""
    engine = open_engine("memory://")
    migrate(engine)
    drive(engine, examples=100, steps=50)
    engine.close()


@pytest.mark.timeout(300)  # a failure takes time to be made small
def test_any_order_of_operations_on_postgres(postgres_engine: Engine) -> None:
    """On PostgreSQL likewise."""
    drive(postgres_engine, examples=15, steps=30)
