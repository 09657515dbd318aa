"""The dead man's switch against a model that goes through every tick by hand, in any order of events."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from lineshaft.clock import HOUR, MINUTE, SECOND
from lineshaft.features.schedules.definition import Definition
from lineshaft.features.schedules.records import get_schedule
from tests.features.schedules.leaders import NAME, Leaders
from tests.features.schedules.test_backfill_machine import EMPTY
from tests.features.schedules.test_overdue import EXPECTED, LEEWAY, SWITCHED, WITHIN, complete, late
from tests.plugins.engines import NOW

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine, Tx


class OverdueMachine(RuleBasedStateMachine):
    """A schedule with a switch, against a model that knows every tick and every job that completed."""

    def __init__(self, engine: Engine, definition: Definition) -> None:
        super().__init__()
        for statement in EMPTY:
            engine.write(lambda tx, statement=statement: tx.run(statement, {}))
        self.leaders, self.definition = Leaders(engine), definition
        self.since = NOW
        self.done: list[int] = []
        """The ticks whose jobs have completed; of a check, when jobs did."""
        self.is_paused = False

    @initialize()
    def create(self) -> None:
        """Store the schedule."""
        self.leaders.create(self.definition)

    @rule()
    def lead(self) -> None:
        """Let the leader work off what is due."""
        self.leaders.lead_on()

    @rule(statements=st.integers(0, 10))
    def die(self, statements: int) -> None:
        """Kill the leader in the midst of a round."""
        self.leaders.die(statements)

    @rule(is_success=st.booleans())
    def end(self, *, is_success: bool) -> None:
        """Let a worker run the next job, or note that one of the task has completed."""
        if self.definition.action == "check":
            if is_success:
                complete(self.leaders)
                self.done.append(self.leaders.now)
            return
        before = self._ticks_of_jobs()
        job = self.leaders.end(is_success=is_success)
        if job is not None and is_success:
            self.done.append(before[job])

    @rule(minutes=st.sampled_from([1, 20, 21, 40, 60, 61, 150]), seconds=st.integers(0, 2))
    def wait(self, minutes: int, seconds: int) -> None:
        """Let time pass, with or without a leader."""
        self.leaders.wait(minutes * MINUTE + seconds * SECOND)

    @rule(is_paused=st.booleans())
    def pause(self, *, is_paused: bool) -> None:
        """Pause or resume."""
        if is_paused != self.is_paused:
            self.leaders.change(paused_at=self.leaders.now if is_paused else None)
            self.is_paused, self.since = is_paused, self.leaders.now

    @invariant()
    def doctor_knows(self) -> None:
        """Whoever looks, leader or not, finds what the model says."""
        if not hasattr(self, "leaders") or self.leaders.engine.read(lambda tx: not self._is_there(tx)):
            return
        wanted = self._overdue_since()
        assert late(self.leaders) == ([] if wanted is None else [(NAME, wanted)])

    @invariant()
    def told_in_turn(self) -> None:
        """It is told that it recovered only after it was told that it is overdue, and once."""
        changes = [change for change, _ in self.leaders.changes()]
        for before, after in pairwise(changes):
            assert (before, after) != ("recovered", "recovered")
        assert changes[:1] != ["recovered"]

    @rule()
    def leader_agrees(self) -> None:
        """After a round of a leader, what it has written down is what the model says."""
        self.leaders.lead_on()
        assert self.leaders.row().overdue_at == self._overdue_since()

    def _overdue_since(self) -> int | None:
        """Go through all ticks by hand."""
        now = self.leaders.now
        if self.is_paused:
            return None
        ticks = [at for at in range(NOW + HOUR, now + 1, HOUR) if at > self.since]
        done = [at for at in self.done if at >= self.since]
        if self.definition.action == "check":
            spans = pairwise(ticks)
            missing = [end for begin, end in spans if not any(begin <= at for at in done)]
            open_since = [end for end in missing if end + LEEWAY <= now]
            return min(open_since, default=None)
        missing = [at + WITHIN for at in ticks if not any(one >= at for one in done)]
        return min((until for until in missing if until + LEEWAY <= now), default=None)

    def _ticks_of_jobs(self) -> dict[str, int]:
        return {tick.job: tick.at for tick in self.leaders.ticks("") if tick.job is not None}

    @staticmethod
    def _is_there(tx: Tx) -> bool:
        return get_schedule(tx, NAME) is not None


@pytest.mark.parametrize("definition", [SWITCHED, EXPECTED], ids=["finish_within", "expect"])
def test_any_order(engine: Engine, definition: Definition) -> None:
    """Whatever happens in whatever order, the leader and whoever looks without one find what the ticks and jobs say."""
    examples, steps = (100, 30) if engine.dialect == "sqlite" else (12, 25)
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: OverdueMachine(engine, definition),
        settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None),
    )
