"""A backfill enqueues one job for each tick of its range, in order and few at once, whatever dies meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from lineshaft.clock import DAY, HOUR, MINUTE, SECOND
from lineshaft.errors import ScheduleError
from lineshaft.features.schedules.backfill import (
    MOST_TICKS,
    advance_backfills,
    check_backfill,
    list_backfills,
    portion,
    unbounded,
)
from lineshaft.features.schedules.batch import work_off
from lineshaft.features.schedules.definition import Definition
from lineshaft.features.schedules.records import TickState
from lineshaft.features.unique import UniqueFeature
from lineshaft.options import JobTemplate, StoredUnique
from lineshaft.recurrence import Cron, Every, Recurrence
from lineshaft.store.control import cancel_jobs, delete_jobs, limit_queue
from lineshaft.transitions import State
from tests.features.schedules.leaders import HOURLY, JOB, Leaders, hours_before
from tests.plugins.engines import KEPT_UNTIL, NOW, row_of, state_in

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine

DAY_OF_HOURS = [NOW - number * HOUR for number in range(24, 0, -1)]


@pytest.fixture
def leaders(engine: Engine) -> Leaders:
    """A store with an hourly schedule."""
    found = Leaders(engine)
    found.create(Definition(HOURLY, job=JOB))
    return found


def run_through(leaders: Leaders, run: str, *, limit: int = 1_000) -> list[str]:
    """Lead and end jobs until a backfill is done, and return the jobs in the order in which they ended."""
    ended: list[str] = []
    for _ in range(limit):
        leaders.lead_on()
        if leaders.get(run).ended_at is not None:
            return ended
        job = leaders.end()
        assert job is not None
        ended.append(job)
    raise AssertionError(f"backfill {run} does not end")


def test_one_job_a_tick_in_order(leaders: Leaders) -> None:
    """Each tick of the half-open range gets one job, which knows its tick; with at_most=1 one ends before the next."""
    run = leaders.backfill(hours_before(24), NOW)
    ended = run_through(leaders, run)
    ticks = leaders.ticks(run)
    assert [tick.at for tick in ticks] == DAY_OF_HOURS
    assert [tick.job for tick in ticks] == ended
    assert {tick.state for tick in ticks} == {TickState.ENQUEUED}
    found = leaders.get(run)
    assert (found.state, found.enqueued, found.unfinished, found.next_at) == ("done", 24, 0, None)
    meta = msgspec.json.decode(row_of(leaders.engine, ended[0]).meta or "")
    assert meta == {"schedule": "hourly", "tick": "2027-01-14T08:00:00+00:00"}


@pytest.mark.parametrize("at_most", [1, 3, 7, 100])
def test_at_most_so_many_at_once(leaders: Leaders, at_most: int) -> None:
    """As many jobs as allowed are unfinished, never more, until fewer are left."""
    run = leaders.backfill(hours_before(24), NOW, at_most=at_most)
    for done in range(24):
        leaders.lead_on()
        assert leaders.get(run).unfinished == min(at_most, 24 - done)
        leaders.end(is_success=bool(done % 2))
    assert leaders.get(run).state == "running"
    leaders.lead_on()
    assert leaders.get(run).state == "done"


def test_more_than_one_round_may_enqueue(leaders: Leaders) -> None:
    """A backfill that may enqueue thousands does so in portions, each a transaction of its own."""
    leaders.define(Definition(Recurrence(Every(MINUTE)), job=JOB))
    run = leaders.backfill(NOW - 1_200 * MINUTE, NOW, at_most=10_000)
    leaders.lead()
    assert leaders.get(run).unfinished == 500
    leaders.lead_on()
    assert (leaders.get(run).unfinished, leaders.get(run).next_at) == (1_200, None)


@pytest.mark.parametrize("how", ["paused", "removed"])
def test_schedule_that_does_not_tick(leaders: Leaders, how: str) -> None:
    """A schedule that is paused, or removed from the code, is backfilled, and does not tick of that."""
    leaders.change(**{f"{how}_at": leaders.now})
    run = leaders.backfill(hours_before(3), NOW)
    assert len(run_through(leaders, run)) == 3
    assert leaders.ticks("") == []
    assert leaders.row().due_at is None


def test_pause_in_the_midst(leaders: Leaders) -> None:
    """A pause keeps the schedule from ticking, and neither holds up its backfill nor begins it anew."""
    run = leaders.backfill(hours_before(5), NOW)
    leaders.lead_on()
    leaders.change(paused_at=leaders.now)
    assert len(run_through(leaders, run)) == 5


def test_bounds_of_the_schedule_do_not_count(engine: Engine) -> None:
    """A range before the schedule's start, or after its end, is backfilled too."""
    leaders = Leaders(engine)
    recurrence = Recurrence(Cron("0 * * * *"), start=hours_before(2), end=hours_before(1))
    leaders.create(Definition(recurrence, job=JOB))
    run = leaders.backfill(hours_before(4), NOW, at_most=10)
    leaders.lead_on()
    assert [tick.at for tick in leaders.ticks(run)] == DAY_OF_HOURS[-4:]


def test_intervals_are_counted_from_the_start() -> None:
    """A rule whose intervals count from its start has the same ticks in a backfill as by the clock, none before."""
    recurrence = Recurrence(Every(7 * MINUTE), start=NOW - HOUR, end=NOW)
    ticks = recurrence.between(0, NOW, 100)
    assert portion(unbounded(recurrence), NOW - 2 * HOUR, NOW + 1, 100).ticks == ticks


def test_missing_ticks_only(leaders: Leaders) -> None:
    """With only_missing, ticks that have a job already get none, whatever run it came from; those without do."""
    leaders.wait(3 * HOUR + MINUTE)
    leaders.lead_on()  # of those that are late, catch_up="one" makes up for the latest
    assert [tick.state for tick in leaders.ticks("")] == [TickState.MISSED, TickState.ENQUEUED, TickState.ENQUEUED]
    first = leaders.backfill(NOW - 2 * HOUR, NOW)
    run_through(leaders, first)
    until = leaders.now
    run = leaders.backfill(NOW - 4 * HOUR, until, at_most=10, only_missing=True)
    leaders.lead_on()
    assert [tick.at for tick in leaders.ticks(run)] == [NOW - 4 * HOUR, NOW - 3 * HOUR, NOW, NOW + HOUR]


def test_nothing_is_missing(leaders: Leaders) -> None:
    """A backfill of what is there already goes through the range without a job, a portion at a time, and is done."""
    leaders.define(Definition(Recurrence(Every(MINUTE)), job=JOB))
    whole = leaders.backfill(NOW - 1_100 * MINUTE, NOW, at_most=10_000)
    leaders.lead_on()
    again = leaders.backfill(NOW - 1_100 * MINUTE, NOW, only_missing=True)
    leaders.lead_on()
    assert (leaders.get(whole).enqueued, leaders.get(again).enqueued, leaders.get(again).state) == (1_100, 0, "done")


def test_two_backfills_beside_each_other(leaders: Leaders) -> None:
    """Each backfill has its own places: the jobs of one do not count against the other."""
    runs = [leaders.backfill(hours_before(10), NOW, at_most=2), leaders.backfill(hours_before(5), NOW, at_most=3)]
    leaders.lead_on()
    assert [leaders.get(run).unfinished for run in runs] == [2, 3]
    for _ in range(15):
        leaders.end()
        leaders.lead_on()
    assert [leaders.get(run).state for run in runs] == ["done", "done"]
    assert [leaders.get(run).enqueued for run in runs] == [10, 5]


def test_cancel(leaders: Leaders) -> None:
    """A backfill that is cancelled enqueues no more, what it has enqueued goes on, and it is over once."""
    run = leaders.backfill(hours_before(24), NOW, at_most=3)
    leaders.lead_on()
    assert leaders.cancel(run)
    assert not leaders.cancel(run)
    assert (leaders.get(run).state, leaders.get(run).unfinished) == ("cancelled", 3)
    for _ in range(3):
        assert leaders.end()
        leaders.lead_on()
    assert leaders.end() is None
    assert (leaders.get(run).state, leaders.get(run).enqueued, leaders.get(run).unfinished) == ("cancelled", 3, 0)


@pytest.mark.parametrize("how", ["cancelled", "deleted"])
def test_jobs_that_end_otherwise(leaders: Leaders, how: str) -> None:
    """A job that a person cancels or deletes makes place too: at once if it is shown, else within a minute."""
    run = leaders.backfill(hours_before(3), NOW)
    leaders.lead_on()
    [job] = [tick.job for tick in leaders.ticks(run)]
    assert job is not None
    if how == "cancelled":
        leaders.engine.write(
            lambda tx: cancel_jobs(tx, [job], now=leaders.now, expires_at=KEPT_UNTIL, features=leaders.features)
        )
    else:
        leaders.engine.write(lambda tx: delete_jobs(tx, [job]))
        leaders.lead_on()
        assert len(leaders.ticks(run)) == 1, "nobody said so yet"
        leaders.wait(MINUTE)
    leaders.lead_on()
    assert [tick.state for tick in leaders.ticks(run)] == [TickState.ENQUEUED, TickState.OPEN]


def test_full_queue(leaders: Leaders) -> None:
    """A queue that is full holds a backfill up; no tick is left out, and none gets two jobs."""
    leaders.engine.write(lambda tx: limit_queue(tx, JOB.queue, 2))
    run = leaders.backfill(hours_before(5), NOW, at_most=4)
    leaders.lead_on()
    assert (leaders.get(run).unfinished, leaders.get(run).enqueued) == (2, 2)
    while leaders.get(run).state == "running":
        leaders.end()
        leaders.wait(11 * SECOND)
        leaders.lead_on()
        assert leaders.get(run).unfinished <= 2
    assert [tick.at for tick in leaders.ticks(run)] == DAY_OF_HOURS[-5:]
    assert len({tick.job for tick in leaders.ticks(run)}) == 5


def test_unique_jobs(engine: Engine) -> None:
    """Where the job before holds the unique key, the tick is skipped, the history says so, and the backfill goes on."""
    leaders = Leaders(engine, features=[UniqueFeature()])
    template = msgspec.structs.replace(JOB, unique=StoredUnique(), unique_text="[]")
    leaders.create(Definition(HOURLY, job=template))
    run = leaders.backfill(hours_before(3), NOW, at_most=3)
    leaders.lead_on()
    ticks = leaders.ticks(run)
    assert [tick.state for tick in ticks] == [TickState.OPEN, TickState.SKIPPED, TickState.SKIPPED]
    assert ticks[1].note == f"job {ticks[0].job} has its unique key"
    leaders.end()
    leaders.lead_on()
    assert (leaders.get(run).state, leaders.get(run).enqueued) == ("done", 1)


def test_rule_that_changes_in_the_midst(leaders: Leaders) -> None:
    """What is left of a range follows the rule as it is by then."""
    run = leaders.backfill(hours_before(4), NOW)
    leaders.lead_on()
    leaders.end()
    leaders.lead_on()
    leaders.define(Definition(Recurrence(Every(HOUR // 2)), job=JOB))
    run_through(leaders, run)
    late = [NOW - 2 * HOUR, NOW - 3 * HOUR // 2, NOW - HOUR, NOW - HOUR // 2]
    assert [tick.at for tick in leaders.ticks(run)] == [*DAY_OF_HOURS[-4:-2], *late]


def test_schedule_that_enqueues_no_more(leaders: Leaders) -> None:
    """A schedule that was changed so that past times have no ticks ends its backfills: they are cancelled."""
    run = leaders.backfill(hours_before(4), NOW)
    leaders.lead_on()
    leaders.define(Definition(Recurrence(Every(HOUR, "finish")), job=JOB))
    leaders.lead_on()
    assert leaders.get(run).state == "cancelled"


def test_pruning(leaders: Leaders) -> None:
    """Backfills are deleted after their time, but not while a job of theirs is unfinished."""
    runs = [leaders.backfill(hours_before(2), NOW) for _ in range(3)]
    leaders.lead_on()
    for run in runs:
        leaders.cancel(run)
    leaders.wait(HOUR)
    ended = leaders.end()
    unfinished = {tick.job: run for run in runs for tick in leaders.ticks(run) if tick.job != ended}
    deleted, kept = unfinished
    leaders.engine.write(lambda tx: delete_jobs(tx, [deleted or ""]))
    feature = leaders.features[0]
    feature.periodic(leaders.engine.write, leaders.now)
    assert leaders.engine.read(lambda tx: len(list_backfills(tx, "hourly", limit=10))) == 3
    feature.periodic(leaders.engine.write, leaders.now + 30 * DAY)
    [left] = leaders.engine.read(lambda tx: list_backfills(tx, "hourly", limit=10))
    assert (left.id, left.unfinished) == (unfinished[kept], 1)


# --- whoever dies when ------------------------------------------------------------------------------------------------


def test_leader_that_dies_at_every_statement(leaders: Leaders) -> None:
    """A leader killed before any statement of any round leaves nothing half done: the next one goes on from there."""
    run = leaders.backfill(hours_before(6), NOW, at_most=2)
    deaths = 0
    while leaders.get(run).state == "running":
        statements = 0
        while leaders.die(statements):
            statements += 1
            deaths += 1
            assert leaders.get(run).unfinished <= 2
        leaders.end()
    assert deaths > 20
    assert [tick.at for tick in leaders.ticks(run)] == DAY_OF_HOURS[-6:]
    assert len({tick.job for tick in leaders.ticks(run)}) == leaders.get(run).enqueued == 6


def test_two_leaders_at_once(postgres_engine: Engine) -> None:
    """While one leader's transaction is open, another one passes over the schedule and enqueues nothing of it."""
    leaders = Leaders(postgres_engine)
    leaders.create(Definition(HOURLY, job=JOB))
    run = leaders.backfill(hours_before(6), NOW, at_most=2)
    with postgres_engine.transaction() as tx:
        work_off(tx, leaders.features, leaders.clock)
        leaders.lead()
        assert leaders.get(run).unfinished == 0, "the first has not committed"
    leaders.lead_on()
    assert (leaders.get(run).unfinished, leaders.get(run).enqueued) == (2, 2)


def test_cancel_beside_a_leader(postgres_engine: Engine) -> None:
    """A backfill that was cancelled while a leader looked at it gets no job afterwards."""
    leaders = Leaders(postgres_engine)
    leaders.create(Definition(HOURLY, job=JOB))
    run = leaders.backfill(hours_before(6), NOW)
    row = leaders.row()
    leaders.cancel(run)
    postgres_engine.write(lambda tx: advance_backfills(tx, leaders.features, [row], leaders.now))
    assert leaders.get(run).enqueued == 0


def test_jobs_that_a_lost_backup_had(leaders: Leaders) -> None:
    """Ticks whose jobs are gone without a trace are settled, and the backfill goes on: nothing is counted."""
    run = leaders.backfill(hours_before(4), NOW, at_most=2)
    leaders.lead_on()
    jobs = [tick.job for tick in leaders.ticks(run) if tick.job is not None]
    leaders.engine.write(lambda tx: delete_jobs(tx, jobs))
    leaders.wait(MINUTE)
    leaders.lead_on()
    assert leaders.get(run).unfinished == 2
    assert state_in(leaders.engine, leaders.ticks(run)[-1].job or "") is State.QUEUED


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "definition, since, until, reason",
    [
        (Definition(HOURLY, job=JOB), NOW - HOUR, NOW + 1, "2027-01-15T08:00:00.000001Z is not past yet"),
        (Definition(HOURLY, job=JOB), NOW, NOW, "since=2027-01-15T08:00:00Z is not before until=2027-01-15T08:00:00Z"),
        (Definition(HOURLY, job=JOB), NOW - MINUTE, NOW, "it ticks never; give another range"),
        (Definition(Recurrence(Every(SECOND)), job=JOB), NOW - 30 * HOUR, NOW, "100,000 times; do it in parts"),
        (Definition(Recurrence(Every(HOUR, "finish")), job=JOB), NOW - HOUR, NOW, "counted from the end of the job"),
        (Definition(HOURLY, action="check", task="shop.report"), NOW - HOUR, NOW, "it enqueues no jobs"),
        (Definition(HOURLY, action="chore", chore="lineshaft.prune-jobs"), NOW - HOUR, NOW, "it enqueues no jobs"),
    ],
    ids=["future", "empty", "no tick", "too many", "after finish", "check", "chore"],
)
def test_refused_ranges(definition: Definition, since: int, until: int, reason: str) -> None:
    """What cannot be backfilled is refused in one line that says why."""
    with pytest.raises(ScheduleError) as caught:
        check_backfill("hourly", definition, since, until, NOW)
    assert str(caught.value).startswith("schedule 'hourly' cannot be backfilled: ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_largest_range() -> None:
    """A hundred thousand ticks are taken; the first of them is where it begins."""
    definition = Definition(Recurrence(Every(SECOND)), job=JobTemplate("a", "[[],{}]", "q", 1))
    assert check_backfill("a", definition, NOW - MOST_TICKS * SECOND, NOW, NOW) == NOW - MOST_TICKS * SECOND
