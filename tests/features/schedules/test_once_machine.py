"""Exactly one job a tick under any order of leaders, deaths, clocks that are set, ends of jobs and what people do."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
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

from lineshaft.clock import HOUR, MINUTE, SECOND, ManualClock
from lineshaft.features.schedules.batch import work_off
from lineshaft.features.schedules.definition import Definition
from lineshaft.features.schedules.records import BY_CLOCK, OpenTick, TickState, open_ticks
from lineshaft.features.schedules.ticks import LOOK_AGAIN
from lineshaft.recurrence import Every, Recurrence
from lineshaft.store import inspect
from lineshaft.store.control import cancel_jobs, delete_jobs
from tests.features.schedules.leaders import JOB, KilledError, Leaders, MortalTx
from tests.features.schedules.test_backfill_machine import EMPTY
from tests.plugins.engines import KEPT_UNTIL

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine

EVERY = 2 * MINUTE
ALONE = ("skip", "queue", "cancel_running")
NAMES = (*ALONE, "plain", "after")


class OnceMachine(RuleBasedStateMachine):
    """A schedule of each kind, with leaders, workers and people."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        for statement in EMPTY:
            engine.write(lambda tx, statement=statement: tx.run(statement, {}))
        self.leaders = Leaders(engine)
        self.latest = self.begun_at = self.leaders.now
        """The latest time that anybody has seen."""
        self.deleted: set[str] = set()

    @initialize()
    def create(self) -> None:
        """Store the schedules; all of them catch up whatever they missed."""
        rule = Recurrence(Every(EVERY))
        for overlap in ALONE:
            self.leaders.create(Definition(rule, job=JOB, overlap=overlap, catch_up="all"), overlap)  # type: ignore[arg-type]
        self.leaders.create(Definition(rule, job=JOB, catch_up="all"), "plain")
        self.leaders.create(Definition(Recurrence(Every(EVERY, "finish")), job=JOB), "after")

    @rule()
    def lead(self) -> None:
        """Let a leader do one round; the answer of the commit may be lost, which is another round."""
        self.look()
        self.leaders.lead()

    @precondition(lambda self: self.leaders.engine.dialect == "postgres")
    @rule(is_first_killed=st.booleans())
    def lead_at_once(self, *, is_first_killed: bool) -> None:
        """Let two leaders do a round at the same time, of which one may die before its commit."""
        self.look()
        engine, leaders = self.leaders.engine, self.leaders
        with engine.transaction() as second, suppress(KilledError), engine.transaction() as first:
            work_off(first, leaders.features, leaders.clock)
            work_off(second, leaders.features, leaders.clock)
            if is_first_killed:
                MortalTx(first, 0).run(EMPTY[0], {})

    @rule(statements=st.integers(0, 9))
    def die(self, statements: int) -> None:
        """Kill a leader in the midst of a round."""
        self.look()
        self.leaders.die(statements)

    @rule(is_success=st.booleans())
    def end(self, *, is_success: bool) -> None:
        """Let a worker run the next job."""
        self.look()
        self.leaders.end(is_success=is_success)

    @rule(name=st.sampled_from(NAMES), is_shown=st.booleans(), is_deleted=st.booleans())
    def remove(self, name: str, *, is_shown: bool, is_deleted: bool) -> None:
        """Let a person cancel or delete a job that is unfinished."""
        jobs = [one.tick.job for one in self.unsettled(name) if one.tick.job and one.is_unfinished]
        if not jobs:
            return
        self.look()
        leaders, features = self.leaders, self.leaders.features if is_shown else []
        if is_deleted:
            self.deleted.update(jobs)
            leaders.engine.write(lambda tx: delete_jobs(tx, jobs))
        else:
            leaders.engine.write(
                lambda tx: cancel_jobs(tx, jobs, now=leaders.now, expires_at=KEPT_UNTIL, features=features)
            )

    @rule(micros=st.sampled_from([SECOND, MINUTE, 5 * MINUTE, 20 * MINUTE]))
    def wait(self, micros: int) -> None:
        """Let time pass, with or without a leader."""
        self.leaders.wait(micros)

    @rule(micros=st.sampled_from([SECOND, 3 * MINUTE, HOUR]))
    def set_back(self, micros: int) -> None:
        """Set the clock back."""
        self.leaders.clock = ManualClock(self.leaders.now - micros)

    @invariant()
    def one_job_a_tick(self) -> None:
        """No two jobs are of one tick, and each job is the one that its tick names."""
        rows = self.leaders.engine.read(lambda tx: inspect.list_jobs(tx, inspect.Filter(), limit=1_000, cursor=None))
        assert max(Counter(row.meta for row in rows).values(), default=1) == 1
        named = {tick.job for name in NAMES for tick in self.leaders.ticks(BY_CLOCK, name) if tick.job}
        assert named == {row.id for row in rows} | self.deleted

    @invariant()
    def no_overlap(self) -> None:
        """Of those that may not overlap no two jobs are unfinished."""
        for name in (*ALONE, "after"):
            assert sum(one.is_unfinished for one in self.unsettled(name)) <= 1

    def unsettled(self, name: str) -> list[OpenTick]:
        """The open ticks of a schedule."""
        return self.leaders.engine.read(lambda tx: open_ticks(tx, [name]))

    def look(self) -> None:
        """Remember the latest time that anybody has seen."""
        self.latest = max(self.latest, self.leaders.now)

    def teardown(self) -> None:
        """In the end each tick is there, and those that waited get their turn."""
        self.look()
        self.leaders.clock = ManualClock(self.latest)
        self.leaders.lead_on()
        first = self.begun_at - self.begun_at % EVERY + EVERY
        due = list(range(first, self.latest + 1, EVERY))
        for name in ("plain", *ALONE):
            ticks = self.leaders.ticks(BY_CLOCK, name)
            assert [tick.at for tick in ticks] == due[-len(ticks) :]
            assert len(ticks) == len(due) or len(due) > 100, "only what lies further back than the limit is missed"
        self.leaders.wait(LOOK_AGAIN)  # by then the leader sees the ends that it was not shown
        self.leaders.lead_on()
        for _ in range(1_000):
            if self.leaders.end() is None:
                break
            self.leaders.lead_on()
        assert not any(tick.state == TickState.WAITING for name in ALONE for tick in self.leaders.ticks(BY_CLOCK, name))


def test_sqlite(memory_engine: Engine) -> None:
    """Whatever happens on SQLite, each tick has one job at most, and none is lost."""
    run_state_machine_as_test(
        lambda: OnceMachine(memory_engine), settings=settings(max_examples=100, stateful_step_count=30, deadline=None)
    )


def test_postgres(postgres_engine: Engine) -> None:
    """Whatever happens on PostgreSQL, two leaders at once too, each tick has one job at most, and none is lost."""
    run_state_machine_as_test(
        lambda: OnceMachine(postgres_engine), settings=settings(max_examples=20, stateful_step_count=20, deadline=None)
    )
