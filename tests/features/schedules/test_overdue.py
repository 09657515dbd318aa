"""The dead man's switch goes off once when no job has completed in time, and says once that all is well again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lineshaft.clock import HOUR, MINUTE, SECOND
from lineshaft.features.schedules.batch import work_off
from lineshaft.features.schedules.definition import Definition, stored_text
from lineshaft.features.schedules.overdue import find_late
from lineshaft.features.schedules.records import update_schedule
from lineshaft.features.schedules.watchlist import Watchlist
from lineshaft.recurrence import Every, Recurrence
from tests.features.schedules.leaders import HOURLY, JOB, NAME, Leaders
from tests.plugins.engines import NOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft.engines.base import Engine

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


def test_many_workers_at_once(
    postgres_engine: Engine, race: Callable[[int, Callable[[int], None]], list[None]]
) -> None:
    """Workers that complete jobs of the same tasks in the same instant neither fail nor wait in a circle."""
    leaders = Leaders(postgres_engine)
    tasks = [f"shop.task{number}" for number in range(5)]
    for task in tasks:
        leaders.create(Definition(HOURLY, action="check", task=task), f"{task}-runs")
    watchlist = Watchlist()
    watchlist.refresh(postgres_engine.read, NOW)

    def note(number: int) -> None:
        turned = tasks[number % 5 :] + tasks[: number % 5]
        postgres_engine.write(lambda tx: watchlist.note_completed(tx, turned, NOW + number))

    race(8, note)
    noted = {leaders.row(f"{task}-runs").succeeded_at for task in tasks}
    assert len(noted) == 1, "the first of them"


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
