"""Which ticks a schedule has to act on: decided from its next tick and the time alone, compared with a simple model."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from lineshaft.clock import HOUR, MINUTE, SECOND
from lineshaft.features.schedules.definition import Definition
from lineshaft.features.schedules.due import MOST_AT_ONCE, MOST_COUNTED, due_ticks
from lineshaft.options import JobTemplate
from lineshaft.options.schedule import CatchUp
from lineshaft.recurrence import Cron, Every, Once, Recurrence

BEGIN = 1_799_999_940 * SECOND  # a whole minute
JOB = JobTemplate("shop.report", "[[],{}]", "default", 3)

intervals = st.sampled_from([MINUTE, 5 * MINUTE, 7 * MINUTE, HOUR])
catch_ups = st.sampled_from(["none", "one", "all"])
offsets = st.integers(-HOUR, 30 * HOUR)
graces = st.sampled_from([0, MINUTE, HOUR])
ends = st.sampled_from([None, BEGIN + 10 * HOUR])


def definition(recurrence: Recurrence, catch_up: CatchUp = "one", limit: int = 100, grace: int = MINUTE) -> Definition:
    return Definition(recurrence, job=JOB, catch_up=catch_up, catch_up_limit=limit, grace=grace)


@given(intervals, catch_ups, st.integers(1, 50), graces, offsets, ends)
@example(MINUTE, "all", 3, MINUTE, 30 * HOUR, BEGIN + 10 * HOUR)
@example(MINUTE, "none", 3, 0, 0, None)
def test_ticks_are_those_of_the_model(
    interval: int, catch_up: CatchUp, limit: int, grace: int, offset: int, end: int | None
) -> None:
    """Each tick within the grace is acted on; of older ones none, the latest, or the latest so many; then the next."""
    recurrence = Recurrence(Every(interval), end=end)
    first = recurrence.after(BEGIN)
    assert first is not None
    now = BEGIN + offset
    ticks = [at for at in range(first, now + 1, interval) if end is None or at <= end]
    late = [at for at in ticks if at < now - grace]
    taken = {"none": [], "one": late[-1:], "all": late[-limit:]}[catch_up]
    missed = late[: len(late) - len(taken)]
    due = due_ticks(definition(recurrence, catch_up, limit, grace), first, now)
    expected = [*taken, *(at for at in ticks if at >= now - grace)]
    assert list(due.ticks) == expected[:MOST_AT_ONCE]
    assert due.next_at == (
        expected[MOST_AT_ONCE] if len(expected) > MOST_AT_ONCE else recurrence.after(max(now, first - 1))
    )
    if missed:
        assert due.missed == (missed[-1], min(len(missed), MOST_COUNTED + 1))
    else:
        assert due.missed is None


@given(intervals, catch_ups, st.lists(st.integers(-2 * HOUR, 5 * HOUR), min_size=1, max_size=20))
def test_each_tick_is_settled_once_wherever_the_clock_steps(interval: int, catch_up: CatchUp, steps: list[int]) -> None:
    """A clock that is set forwards and back brings no tick twice, and ticks come in order."""
    said = definition(Recurrence(Every(interval)), catch_up)
    next_at, now = said.recurrence.after(BEGIN), BEGIN
    seen: list[int] = []
    for step in steps:
        now += step
        due = due_ticks(said, next_at, now)
        seen += [*([due.missed.last_at] if due.missed else []), *due.ticks]
        next_at = due.next_at
    assert seen == sorted(set(seen))


@given(st.lists(st.integers(0, 10 * HOUR), min_size=1, max_size=5, unique=True), catch_ups, st.integers(0, 11 * HOUR))
def test_times_that_come_once(offsets: list[int], catch_up: CatchUp, later: int) -> None:
    """Of single times each is acted on, or counted as missed, and after the last there is no next one."""
    times = tuple(sorted(BEGIN + offset for offset in offsets))
    now = BEGIN + later
    due = due_ticks(definition(Recurrence(Once(times)), catch_up), times[0], now)
    past = [at for at in times if at <= now]
    missed = 0 if due.missed is None else due.missed.number
    assert missed + len(due.ticks) == len(past)
    assert due.next_at == next((at for at in times if at > now), None)


def test_a_long_downtime_costs_little() -> None:
    """After years away a schedule of every minute catches up its latest ticks, in portions, and counts no millions."""
    said = definition(Recurrence(Cron("* * * * *")), "all", limit=1_500)
    first, now = BEGIN, BEGIN + 3 * 365 * 24 * HOUR
    due = due_ticks(said, first, now)
    assert len(due.ticks) == MOST_AT_ONCE
    assert due.missed is not None
    assert due.missed.number == MOST_COUNTED + 1
    rest = due_ticks(said, due.next_at, now)
    assert len(rest.ticks) == 502  # 500 of the late ones, and two within the grace
    assert rest.missed is None
    assert (rest.ticks[-1], rest.next_at) == (now, now + MINUTE)


@given(catch_ups, st.integers(0, HOUR))
def test_since_the_finish_there_is_one_tick(catch_up: CatchUp, late: int) -> None:
    """A tick counted from the end of a job is the only one that can be due; the next one waits for its job."""
    said = definition(Recurrence(Every(5 * MINUTE, "finish")), catch_up)
    due = due_ticks(said, BEGIN, BEGIN + late)
    if late > MINUTE and catch_up == "none":
        assert (due.ticks, due.missed, due.next_at) == ((), (BEGIN, 1), BEGIN + late + 5 * MINUTE)
    else:
        assert due == ((BEGIN,), None, None)
