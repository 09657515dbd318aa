"""What becomes of due ticks beside jobs that are unfinished: decided purely, compared with a simple model."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.clock import HOUR, MINUTE, SECOND
from lineshaft.features.schedules.definition import Definition
from lineshaft.features.schedules.due import Due, Missed
from lineshaft.features.schedules.records import BY_CLOCK, MANUAL, OpenTick, ScheduleRow, TickRow, TickState
from lineshaft.features.schedules.ticks import LOOK_AGAIN, MOST_WAITING, Decision, decide, decide_apart, decide_by_jobs
from lineshaft.options import JobTemplate
from lineshaft.options.schedule import Overlap
from lineshaft.recurrence import Every, Recurrence

NOW = 1_800_000_000 * SECOND
JOB = JobTemplate("shop.report", "[[],{}]", "default", 3)
HOURLY = Recurrence(Every(HOUR))
GETS_A_JOB = (TickState.OPEN, TickState.ENQUEUED)

overlaps = st.sampled_from(get_args(Overlap))


def row(**columns: object) -> ScheduleRow:
    return ScheduleRow("hourly", "runtime", None, "", None, None, 1, NOW - HOUR, NOW - HOUR)._replace(
        **{"next_at": NOW, "due_at": NOW, **columns}  # type: ignore[arg-type]
    )


def open_tick(at: int, state: TickState, *, is_unfinished: bool = False, run: str = BY_CLOCK) -> OpenTick:
    job = f"job of {at}" if state is TickState.OPEN else None
    return OpenTick(TickRow("hourly", at, run, state, job, at), is_unfinished)


def look(
    overlap: Overlap, due: Due, *open_ticks: OpenTick, recurrence: Recurrence = HOURLY, **columns: object
) -> Decision:
    return decide(row(**columns), Definition(recurrence, job=JOB, overlap=overlap), due, open_ticks, NOW)


@given(overlaps, st.integers(0, 4), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
def test_overlap_is_that_of_the_model(overlap: Overlap, new: int, waiting: int, running: int, ended: int) -> None:
    """Jobs of a schedule that may not overlap are never two at once, and no tick is forgotten."""
    times = iter(range(NOW - HOUR, NOW))
    before = [
        *(open_tick(next(times), TickState.OPEN) for _ in range(ended)),
        *(open_tick(next(times), TickState.OPEN, is_unfinished=True) for _ in range(running)),
        *(open_tick(next(times), TickState.WAITING) for _ in range(waiting)),
    ]
    ticks = tuple(NOW - new + number for number in range(new))
    found = look(overlap, Due(ticks, None, NOW + HOUR), *before)
    states = {tick.at: tick.state for tick in (*(one.tick for one in before), *found.new, *found.changed)}
    assert [tick.at for tick in found.new] == list(ticks)
    line = [one.tick.at for one in before if one.tick.state == TickState.WAITING] + list(ticks)
    assert [states[at] for at in line] == model(overlap, waiting, new, is_free=not running)
    assert all(states[one.tick.at] == TickState.ENQUEUED for one in before if one.tick.job and not one.is_unfinished)
    is_stuck = overlap == "cancel_running" and running > 0 and bool(line)
    assert len(found.to_cancel) == (running if is_stuck else 0)
    assert (found.move.next_at, found.move.last_at) == (NOW + HOUR, ticks[-1] if ticks else None)


def model(overlap: Overlap, waiting: int, new: int, *, is_free: bool) -> list[TickState]:
    """Return what ticks become, those that waited first."""
    count = waiting + new
    if not count:
        return []
    first = TickState.OPEN if is_free else TickState.WAITING
    match overlap:
        case "allow":
            return [TickState.ENQUEUED] * count
        case "queue":
            return [first] + [TickState.WAITING] * (count - 1)
        case "cancel_running":
            return [TickState.SKIPPED] * (count - 1) + [first]
        case "skip":
            kept = [TickState.WAITING] * waiting + [TickState.SKIPPED] * new
            return [TickState.OPEN, *kept[1:]] if is_free else kept


@given(st.integers(0, 4), st.none() | st.integers(NOW - HOUR, NOW), st.none() | st.integers(NOW + 1, NOW + HOUR))
def test_the_short_way_comes_to_the_same(new: int, last_at: int | None, next_at: int | None) -> None:
    """A schedule that heeds none of its jobs is decided about by a short way, whose end is that of the long one."""
    schedule, due = row(last_at=last_at, last_job="job before"), Due(tuple(range(NOW, NOW + new)), None, next_at)
    definition = Definition(HOURLY, job=JOB)
    assert decide(schedule, definition, due, (), NOW) == decide_apart(schedule, due, NOW)
    assert decide_by_jobs(schedule, definition, due, (), NOW) == decide_apart(schedule, due, NOW)


@pytest.mark.parametrize("overlap", get_args(Overlap))
def test_paused_nothing_ticks(overlap: Overlap) -> None:
    """A pause leaves waiting ticks as they are, enqueues nothing, and settles what has ended."""
    before = [open_tick(NOW - 2, TickState.OPEN), open_tick(NOW - 1, TickState.WAITING)]
    found = look(overlap, Due((NOW,), None, NOW + HOUR), *before, paused_at=NOW - HOUR)
    assert (found.new, [tick.at for tick in found.changed]) == ((), [NOW - 2])
    assert (found.move.next_at, found.move.due_at, found.has_ticked) == (None, NOW + LOOK_AGAIN, False)


def test_removed_nothing_waits_any_more() -> None:
    """What waits for its turn when the schedule is removed from the code is skipped, with the reason."""
    before = [open_tick(NOW - 2, TickState.OPEN, is_unfinished=True), open_tick(NOW - 1, TickState.WAITING)]
    found = look("queue", Due((NOW,), None, NOW + HOUR), *before, removed_at=NOW - 1)
    [changed] = found.changed
    assert (changed.at, changed.state, changed.note) == (NOW - 1, TickState.SKIPPED, "the schedule was removed")
    assert found.new == ()


def test_a_skipped_tick_names_the_job_in_its_way() -> None:
    """A tick that is skipped for overlap says which job was unfinished, a manual one too."""
    found = look("skip", Due((NOW,), None, None), open_tick(NOW - 9, TickState.OPEN, is_unfinished=True, run=MANUAL))
    [tick] = found.new
    assert tick.note == f"job job of {NOW - 9} was unfinished"


def test_the_line_has_an_end() -> None:
    """At most 1,000 ticks wait for their turn; the next one is skipped and says so."""
    line = [open_tick(NOW - 2_000 + number, TickState.WAITING) for number in range(MOST_WAITING)]
    running = open_tick(NOW - HOUR, TickState.OPEN, is_unfinished=True)
    found = look("queue", Due((NOW,), None, None), running, *line)
    [tick] = found.new
    assert (tick.state, tick.note) == (TickState.SKIPPED, "1000 ticks were waiting")


def test_missed_ticks_leave_one_row() -> None:
    """Of the ticks that are not caught up the last one is kept, with their number."""
    found = look("allow", Due((), Missed(NOW - HOUR, 7), NOW + HOUR))
    [tick] = found.new
    assert (tick.at, tick.state, tick.note) == (NOW - HOUR, TickState.MISSED, "missed, the last of 7")
    assert found.move.last_at == NOW - HOUR


def test_since_the_finish_the_next_tick_waits_for_the_end() -> None:
    """After a tick there is no next one; the end of its job, noted in `due_at`, is what the time is counted from."""
    after = Recurrence(Every(5 * MINUTE, "finish"))
    ticked = look("allow", Due((NOW,), None, None), recurrence=after)
    assert (ticked.new[0].state, ticked.move.next_at) == (TickState.OPEN, None)
    running = open_tick(NOW - MINUTE, TickState.OPEN, is_unfinished=True)
    waits = look("allow", Due((), None, None), running, recurrence=after, next_at=None)
    assert (waits.move.next_at, waits.move.due_at) == (None, NOW + LOOK_AGAIN)
    ended = open_tick(NOW - MINUTE, TickState.OPEN)
    goes_on = look("allow", Due((), None, None), ended, recurrence=after, next_at=None, due_at=NOW - 7)
    assert goes_on.move.next_at == NOW - 7 + 5 * MINUTE
    beside_manual = look("allow", Due((NOW,), None, None), running, recurrence=after)
    assert (beside_manual.new, beside_manual.move.next_at) == ((), None)


def test_an_ended_schedule_is_never_looked_at_again() -> None:
    """Without a next tick and without open ones nothing makes a schedule due."""
    assert look("allow", Due((NOW,), None, None)).move.due_at is None


def test_a_chore_has_no_ticks_to_keep() -> None:
    """The store's housekeeping and a mere watch leave no tick behind, only when they ticked last."""
    definition = Definition(HOURLY, action="chore", chore="lineshaft.prune-jobs")
    found = decide(row(), definition, Due((NOW - 1, NOW), None, NOW + HOUR), (), NOW)
    assert (found.new, found.has_ticked, found.move.last_at) == ((), True, NOW)
