"""Schedules in a simulated world: whatever happens to leaders and clocks, each tick has one row and one job."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from lineshaft.clock import HOUR, to_datetime
from lineshaft.features.schedules.declared import new_row
from lineshaft.features.schedules.definition import Definition, read_definition, stored_text
from lineshaft.features.schedules.records import ScheduleRow, TickState, insert_schedule, list_schedules
from lineshaft.options import JobTemplate
from lineshaft.recurrence import Every, Recurrence
from tests.simulation.threads import SECOND

if TYPE_CHECKING:
    from tests.simulation.world import World

KINDS: Final[tuple[dict[str, Any], ...]] = ({}, {"overlap": "queue"}, {"finish_within": HOUR})
GRACE: Final = 2 * HOUR
"""Longer than any downtime and any leap of a clock: no tick may be missed."""
_MOST: Final = 10_000
_OVER: Final = """
select (select count(*) from lineshaft_schedule where source = 'runtime' and next_at is not null)
       + (select count(*) from lineshaft_tick where state < 2)"""


def add_schedules(world: World) -> None:
    """Store a schedule of each kind, which end by themselves."""
    now = world.schedule.wall
    end = now + round(world.random.uniform(5, 40) * SECOND)
    for number, kind in enumerate(KINDS):
        every = world.random.choice((2, 3, 5)) * SECOND
        job = JobTemplate("plain", "[[],{}]", "ab"[number % 2], 3)
        definition = Definition(Recurrence(Every(every), end=end), job=job, grace=GRACE, **kind)
        row = new_row(f"s{number}", "runtime", stored_text(definition), None, now)
        with world.store.transaction() as tx:
            insert_schedule(tx, row)


def is_over(world: World) -> bool:
    """Tell whether every tick has come and is settled."""
    return not world.rows(_OVER)[0][0]


def jobs_of_ticks(world: World) -> set[str]:
    """Return the ids of the jobs that ticks have."""
    return {job for (job,) in world.rows("select job from lineshaft_tick where job is not null")}


def wrong_ticks(world: World) -> str | None:
    """Return what is wrong with the first tick that has not exactly one row and one job; None: all is well."""
    jobs = Counter(
        (said["schedule"], said["tick"])
        for (meta,) in world.rows("select meta from lineshaft_job where meta is not null")
        for said in (msgspec.json.decode(meta),)
    )
    with world.store.reading() as tx:
        rows = [row for row in list_schedules(tx) if row.source == "runtime"]
    for row in rows:
        due = set(_due(row))
        found = dict(world.rows("select at, state from lineshaft_tick where schedule = ?", row.name))
        for at in sorted(due | found.keys()):
            tick = f"tick {to_datetime(at):%H:%M:%S} of {row.name}"
            if at not in due or found.get(at) != TickState.ENQUEUED:
                return f"{tick} is {'' if at in due else 'not '}due, its state is {found.get(at)}"
            if jobs[row.name, to_datetime(at).isoformat()] != 1:
                return f"{tick} has {jobs[row.name, to_datetime(at).isoformat()]} jobs"
    return None


def _due(row: ScheduleRow) -> list[int]:
    rule = read_definition(row.declared).recurrence
    assert rule.end is not None
    return rule.between(row.created_at, rule.end, _MOST)
