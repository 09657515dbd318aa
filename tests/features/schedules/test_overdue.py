"""The dead man's switch goes off once when no job has completed in time, and says once that all is well again."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from lineshaft.clock import HOUR, MINUTE, SECOND
from lineshaft.features.schedules.batch import work_off
from lineshaft.features.schedules.definition import Definition, stored_text
from lineshaft.features.schedules.overdue import find_late
from lineshaft.features.schedules.records import get_schedule, update_schedule
from lineshaft.features.schedules.watchlist import Watchlist
from lineshaft.recurrence import Every, Recurrence
from tests.features.schedules.leaders import HOURLY, JOB, NAME, Leaders
from tests.features.schedules.test_backfill_machine import EMPTY
from tests.plugins.engines import NOW

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine, Tx

WITHIN = 20 * MINUTE
SWITCHED = Definition(HOURLY, job=JOB, finish_within=WITHIN)
EXPECTED = Definition(HOURLY, action="check", task=JOB.name)
TICK = NOW + HOUR
LEEWAY = SECOND


@pytest.fixture
def leaders(engine: Engine) -> Leaders:
    """A store with an hourly schedule whose jobs are to complete within 20 minutes."""
    found = Leaders(engine)
    found.create(SWITCHED)
    return found


def go_to(leaders: Leaders, instant: int) -> None:
    """Let time pass up to an instant, with a leader that looks whenever something is due."""
    while (due := leaders.row().due_at) is not None and due <= instant:
        leaders.wait(max(due - leaders.now, 0))
        leaders.lead()
    leaders.wait(instant - leaders.now)


def late(leaders: Leaders) -> list[tuple[str, int]]:
    """What the doctor finds, without any leader."""
    found, unreadable = leaders.engine.read(lambda tx: find_late(tx, leaders.now))
    assert unreadable == []
    return [(one.name, one.since) for one in found]


def test_job_that_completes_in_time(leaders: Leaders) -> None:
    """Nothing is said while the job of each tick completes in time."""
    for hour in range(1, 5):
        go_to(leaders, NOW + hour * HOUR + MINUTE)
        assert leaders.end()
    go_to(leaders, NOW + 5 * HOUR - 1)
    assert (leaders.changes(), leaders.row().overdue_at, late(leaders)) == ([], None, [])


def test_job_that_does_not(leaders: Leaders) -> None:
    """A job that has not completed by tick + finish_within: overdue since then, told once; recovered when it has."""
    go_to(leaders, TICK + WITHIN + LEEWAY - 1)
    assert (leaders.changes(), late(leaders)) == ([], [])
    go_to(leaders, TICK + WITHIN + LEEWAY)
    assert (leaders.changes(), leaders.row().overdue_at) == ([("overdue", NAME)], TICK + WITHIN)
    go_to(leaders, TICK + WITHIN + 10 * MINUTE)
    assert leaders.end()
    leaders.lead_on()
    assert (leaders.changes()[1:], leaders.row().overdue_at) == ([("recovered", NAME)], None)
    go_to(leaders, TICK + HOUR + WITHIN)
    assert len(leaders.changes()) == 2


def test_job_that_fails(leaders: Leaders) -> None:
    """A job that is dead has not completed, however early it ended; that of a later tick makes up for it."""
    go_to(leaders, TICK + MINUTE)
    leaders.end(is_success=False)
    go_to(leaders, TICK + HOUR + MINUTE)
    assert leaders.changes() == [("overdue", NAME)]
    leaders.end()
    leaders.lead_on()
    assert leaders.changes() == [("overdue", NAME), ("recovered", NAME)]


def test_slow_job_of_the_tick_before(leaders: Leaders) -> None:
    """A job that completes after the next tick does not stand for that tick's own."""
    go_to(leaders, TICK + HOUR + MINUTE)
    leaders.end()  # that of the first tick, late
    leaders.lead_on()
    assert leaders.changes() == [("overdue", NAME), ("recovered", NAME)]
    go_to(leaders, TICK + HOUR + WITHIN + LEEWAY)
    assert leaders.changes()[2:] == [("overdue", NAME)]


def test_backfilled_tick(leaders: Leaders) -> None:
    """A backfill of the very tick makes all well; one of older ticks does not."""
    go_to(leaders, TICK + MINUTE)
    leaders.end(is_success=False)
    go_to(leaders, TICK + WITHIN + LEEWAY)
    old = leaders.backfill(TICK - HOUR, TICK)
    leaders.lead_on()
    leaders.end()
    leaders.lead_on()
    assert (leaders.get(old).state, leaders.changes()) == ("done", [("overdue", NAME)])
    leaders.backfill(TICK, TICK + MINUTE)
    leaders.lead_on()
    leaders.end()
    leaders.lead_on()
    assert leaders.changes() == [("overdue", NAME), ("recovered", NAME)]


def test_pause(leaders: Leaders) -> None:
    """What is paused is not overdue, nobody is told that it recovered, and a resume begins anew."""
    go_to(leaders, TICK + WITHIN + LEEWAY)
    leaders.change(paused_at=leaders.now)
    leaders.lead_on()
    assert (leaders.row().overdue_at, late(leaders)) == (None, [])
    leaders.wait(5 * HOUR)
    leaders.lead_on()
    leaders.change(paused_at=None)
    leaders.lead_on()
    assert leaders.changes() == [("overdue", NAME)]
    go_to(leaders, leaders.now + 2 * HOUR)
    assert leaders.changes() == [("overdue", NAME), ("overdue", NAME)]


@pytest.mark.parametrize("catch_up", ["one", "none"])
def test_downtime(engine: Engine, catch_up: str) -> None:
    """A tick that nobody was there for is not finished, unless it is caught up: the next leader tells of it."""
    leaders = Leaders(engine)
    leaders.create(Definition(HOURLY, job=JOB, finish_within=WITHIN, catch_up=catch_up))  # type: ignore[arg-type]
    leaders.lead_on()
    leaders.wait(HOUR + 40 * MINUTE)
    assert late(leaders) == [(NAME, TICK + WITHIN)], "nobody leads, and the doctor knows all the same"
    assert leaders.row().overdue_at is None
    leaders.lead_on()
    assert leaders.changes() == [("overdue", NAME)]
    assert (leaders.end() is not None) == (catch_up == "one")
    leaders.lead_on()
    assert leaders.changes()[1:] == ([("recovered", NAME)] if catch_up == "one" else [])


def test_since_the_finish(engine: Engine) -> None:
    """Where ticks count from the end of a job, so does what is expected."""
    leaders = Leaders(engine)
    leaders.create(Definition(Recurrence(Every(HOUR, "finish")), job=JOB, finish_within=WITHIN))
    leaders.lead_on()
    leaders.wait(10 * MINUTE)
    leaders.end()
    go_to(leaders, NOW + 70 * MINUTE + WITHIN + LEEWAY - 1)
    assert leaders.changes() == []
    go_to(leaders, NOW + 70 * MINUTE + WITHIN + LEEWAY)
    assert (leaders.changes(), leaders.row().overdue_at) == ([("overdue", NAME)], NOW + 70 * MINUTE + WITHIN)
    leaders.end()
    leaders.lead_on()
    assert leaders.changes()[1:] == [("recovered", NAME)]


def test_leader_that_dies_as_it_finds_out(leaders: Leaders) -> None:
    """Killed before any statement of the round that finds it, a leader leaves it to the next: told once."""
    go_to(leaders, TICK + WITHIN)
    leaders.wait(LEEWAY)
    statements = 0
    while leaders.die(statements):
        statements += 1
        assert (leaders.changes(), leaders.row().overdue_at) == ([], None)
    leaders.lead_on()
    assert statements > 2
    assert leaders.changes() == [("overdue", NAME)]


def test_two_leaders(postgres_engine: Engine) -> None:
    """Of two leaders at once one finds it, and tells of it."""
    leaders = Leaders(postgres_engine)
    leaders.create(SWITCHED)
    go_to(leaders, TICK + WITHIN)
    leaders.wait(LEEWAY)
    with postgres_engine.transaction() as tx:
        leaders.batches.append(work_off(tx, leaders.features, leaders.clock))
        leaders.lead()
    leaders.lead_on()
    assert leaders.changes() == [("overdue", NAME)]


def test_schedule_of_another_version(leaders: Leaders) -> None:
    """A schedule that this version cannot read is named, and the others are judged."""
    leaders.create(SWITCHED, "other")
    text = stored_text(SWITCHED).replace('"job"', '"work"')
    row = leaders.row()
    leaders.engine.write(lambda tx: update_schedule(tx, row._replace(declared=text)))
    leaders.wait(2 * HOUR)
    found, unreadable = leaders.engine.read(lambda tx: find_late(tx, leaders.now))
    assert ([one.name for one in found], unreadable) == (["other"], [NAME])


# --- any task ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def expecting(engine: Engine) -> Leaders:
    """A store that expects a job of a task each hour."""
    found = Leaders(engine)
    found.create(EXPECTED)
    return found


def complete(leaders: Leaders) -> None:
    """Note that a job of the task has completed, as a worker does."""
    watchlist = Watchlist()
    watchlist.refresh(leaders.engine.read, leaders.now)
    assert watchlist.tasks == {JOB.name}
    leaders.engine.write(lambda tx: watchlist.note_completed(tx, watchlist.tasks, leaders.now))


def test_expected_task(expecting: Leaders) -> None:
    """By each tick a job must have completed since the one before; the interval in which it begins is not looked at."""
    go_to(expecting, NOW + HOUR + MINUTE)
    complete(expecting)
    go_to(expecting, NOW + 3 * HOUR + LEEWAY - 1)
    assert (expecting.changes(), late(expecting)) == ([], [])
    go_to(expecting, NOW + 3 * HOUR + LEEWAY)
    assert (expecting.changes(), expecting.row().overdue_at) == ([("overdue", NAME)], NOW + 3 * HOUR)
    go_to(expecting, NOW + 5 * HOUR)
    complete(expecting)
    expecting.lead_on()
    assert (expecting.changes(), expecting.row().overdue_at) == ([("overdue", NAME), ("recovered", NAME)], None)


def test_nothing_completes_at_all(expecting: Leaders) -> None:
    """A task of which no job ever completes is overdue from the second tick on, also where nobody leads."""
    expecting.lead_on()
    expecting.wait(2 * HOUR + LEEWAY)
    assert late(expecting) == [(NAME, NOW + 2 * HOUR)]
    expecting.lead_on()
    assert expecting.changes() == [("overdue", NAME)]


def test_noted_once_a_second(expecting: Leaders) -> None:
    """However many jobs complete in a second, the first of them is written down, and no other."""
    complete(expecting)
    first = expecting.row().succeeded_at
    expecting.wait(SECOND - 1)
    complete(expecting)
    assert expecting.row().succeeded_at == first
    expecting.wait(1)
    complete(expecting)
    assert expecting.row().succeeded_at == NOW + SECOND


def test_clock_that_was_wrong(expecting: Leaders) -> None:
    """A completion noted by a clock that was far ahead does not hide what happens after it is set right."""
    expecting.wait(24 * HOUR)
    complete(expecting)
    expecting.clock = Leaders(expecting.engine).clock
    complete(expecting)
    assert expecting.row().succeeded_at == NOW


def test_names_are_asked_for_every_few_seconds(expecting: Leaders) -> None:
    """A new expectation is known within 5 s, and the store is not asked more often than that."""
    watchlist, asked = Watchlist(), 0

    def read(operation: object) -> object:
        nonlocal asked
        asked += 1
        return expecting.engine.read(operation)  # type: ignore[arg-type]

    watchlist.refresh(read, NOW)
    expecting.create(Definition(HOURLY, action="check", task="shop.other"), "other")
    watchlist.refresh(read, NOW + 5 * SECOND - 1)
    assert (watchlist.tasks, asked) == ({JOB.name}, 1)
    watchlist.refresh(read, NOW + 5 * SECOND)
    assert (watchlist.tasks, asked) == ({JOB.name, "shop.other"}, 2)
    watchlist.refresh(read, NOW)
    assert asked == 3, "the clock was set back"


# --- in any order -----------------------------------------------------------------------------------------------------


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

    @rule(minutes=st.sampled_from([1, 7, 19, 20, 21, 40, 60, 61, 150]), seconds=st.integers(0, 2))
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
    examples, steps = (60, 30) if engine.dialect == "sqlite" else (12, 25)
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: OverdueMachine(engine, definition),
        settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None),
    )
