"""Backfills under any order of leaders, deaths, ends of jobs and what people do: one job a tick, never too many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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

from lineshaft.clock import HOUR, MINUTE
from lineshaft.engines.base import Sql, Statement
from lineshaft.features.schedules.definition import Definition
from lineshaft.recurrence import Every, Recurrence
from lineshaft.store.control import cancel_jobs, delete_jobs
from tests.features.schedules.leaders import JOB, Leaders
from tests.plugins.engines import KEPT_UNTIL, NOW, WORKER, claim_held

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine

EMPTY = [
    Statement("empty", Sql.parse(f"delete from lineshaft_{name}", "sqlite", ()), Sql.parse(text, "postgres", ()))
    for name, text in {
        "job": "truncate lineshaft.job, lineshaft.history, lineshaft.tick, lineshaft.backfill, lineshaft.schedule",
        **dict.fromkeys(("tick", "backfill", "schedule"), "select 1"),
    }.items()
]
MOST = 5
EVERY = 10 * MINUTE


@dataclass(frozen=True)
class Begun:
    """A backfill, with the ticks that are to have a job of it, as far as that was known when it began."""

    run: str
    ticks: tuple[int, ...]
    known: frozenset[int]
    at_most: int


class BackfillMachine(RuleBasedStateMachine):
    """One schedule with its leaders, its jobs, and people."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        for statement in EMPTY:
            engine.write(lambda tx, statement=statement: tx.run(statement, {}))
        self.leaders = Leaders(engine)
        self.begun: list[Begun] = []
        self.cancelled: set[str] = set()
        self.held = 0

    @initialize()
    def create(self) -> None:
        """Store the schedule."""
        self.leaders.create(Definition(Recurrence(Every(EVERY)), job=JOB))

    @precondition(lambda self: len(self.begun) < 3)
    @rule(back=st.integers(1, 12), count=st.integers(1, 12), at_most=st.integers(1, MOST), only_missing=st.booleans())
    def begin(self, back: int, count: int, at_most: int, *, only_missing: bool) -> None:
        """Begin a backfill."""
        leaders = self.leaders
        until = leaders.now // EVERY * EVERY - back * EVERY
        since = until - count * EVERY
        known = frozenset(
            tick.at for run in self.runs() for tick in leaders.ticks(run) if only_missing and tick.job is not None
        )
        run = leaders.backfill(since, until, at_most=at_most, only_missing=only_missing)
        self.begun.append(Begun(run, tuple(range(since, until, EVERY)), known, at_most))

    @rule()
    def lead(self) -> None:
        """Let the leader do one round."""
        self.leaders.lead()

    @rule(statements=st.integers(0, 14))
    def die(self, statements: int) -> None:
        """Kill the leader in the midst of a round."""
        self.leaders.die(statements)

    @rule(is_success=st.booleans())
    def end(self, *, is_success: bool) -> None:
        """Let a worker run the next job."""
        self.leaders.end(is_success=is_success)

    @rule(is_shown=st.booleans(), is_cancelled=st.booleans(), place=st.integers(0, 5))
    def remove(self, place: int, *, is_shown: bool, is_cancelled: bool) -> None:
        """Let a person cancel or delete a job."""
        jobs = [tick.job for run in self.runs() for tick in self.leaders.ticks(run) if tick.job and tick.state < 2]
        if not jobs:
            return
        job, leaders = jobs[place % len(jobs)], self.leaders
        if is_cancelled:
            features = leaders.features if is_shown else []
            leaders.engine.write(
                lambda tx: cancel_jobs(tx, [job], now=leaders.now, expires_at=KEPT_UNTIL, features=features)
            )
        else:
            leaders.engine.write(lambda tx: delete_jobs(tx, [job]))

    @rule(micros=st.sampled_from([MINUTE, EVERY, HOUR]))
    def wait(self, micros: int) -> None:
        """Let time pass."""
        self.leaders.wait(micros)

    @rule(is_paused=st.booleans())
    def pause(self, *, is_paused: bool) -> None:
        """Pause or resume the schedule."""
        self.leaders.change(paused_at=self.leaders.now if is_paused else None)

    @precondition(lambda self: self.begun)
    @rule(place=st.integers(0, 2))
    def cancel(self, place: int) -> None:
        """Cancel a backfill."""
        one = self.begun[place % len(self.begun)]
        if self.leaders.cancel(one.run):
            self.cancelled.add(one.run)

    @invariant()
    def never_too_many(self) -> None:
        """No more jobs of a backfill are unfinished than it allows."""
        for one in self.begun:
            assert self.leaders.get(one.run).unfinished <= one.at_most

    @invariant()
    def in_order_and_once(self) -> None:
        """The ticks that have jobs are the first of those that want one, in order, each with a job of its own."""
        for one in self.begun:
            ticks = self.leaders.ticks(one.run)
            wanted = [at for at in one.ticks if at not in one.known]
            ats = [tick.at for tick in ticks]
            assert ats == [at for at in wanted if at in set(ats)]
            assert len({tick.job for tick in ticks}) == len(ticks) == self.leaders.get(one.run).enqueued
            if ats and not one.known:
                others = {tick.at for run in self.runs() if run != one.run for tick in self.leaders.ticks(run)}
                assert set(wanted[: wanted.index(ats[-1]) + 1]) <= set(ats) | others

    def runs(self) -> list[str]:
        """Return what has ticks."""
        return ["", *(one.run for one in self.begun)]

    def teardown(self) -> None:
        """Whatever happened, with a leader and a worker that go on all backfills end, and every tick has its job."""
        leaders = self.leaders
        for _ in range(200):
            leaders.lead_on()
            if all(leaders.get(one.run).ended_at is not None for one in self.begun):
                break
            while leaders.end():
                continue
            leaders.wait(MINUTE)
        for one in self.begun:
            found = leaders.get(one.run)
            assert found.state == ("cancelled" if one.run in self.cancelled else "done")
            if found.state == "done":
                have = {tick.at for run in self.runs() for tick in leaders.ticks(run) if tick.job is not None}
                assert set(one.ticks) <= have
                assert not one.known & {tick.at for tick in leaders.ticks(one.run)}


def test_any_order(engine: Engine) -> None:
    """Whatever happens in whatever order, each tick has one job, and no more are unfinished than allowed."""
    assert claim_held(engine, worker=WORKER) == []
    examples, steps = (60, 40) if engine.dialect == "sqlite" else (15, 30)
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: BackfillMachine(engine),
        settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None),
    )


def test_it_begins_at_a_tick() -> None:
    """The machine's times lie on ticks, so that what it expects is what the rule says."""
    assert NOW % EVERY == 0
