"""Leaders at the same moment, in threads and in processes, with workers that end jobs beside them: one job a tick."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from lineshaft.clock import HOUR, ManualClock
from lineshaft.features.schedules.batch import work_off
from lineshaft.features.schedules.declared import new_row
from lineshaft.features.schedules.definition import Definition, stored_text
from lineshaft.features.schedules.records import BY_CLOCK, TickState, insert_schedule, list_ticks
from lineshaft.store import inspect
from tests.features.schedules.leaders import HOURLY, JOB, Leaders
from tests.plugins.engines import NOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft.engines.base import Engine
    from tests.plugins.engines import Child

SCHEDULES = 300
LEAD = """
import sys
from lineshaft.clock import ManualClock
from tests.features.schedules.leaders import Leaders
from tests.plugins.engines import open_engine
engine = open_engine(sys.argv[1])
leaders = Leaders(engine, clock=ManualClock(int(sys.argv[2])))
print("ready", flush=True)
sys.stdin.readline()
leaders.lead_on()
print("done", flush=True)
engine.close()
"""


def create(engine: Engine, definition: Definition) -> None:
    text = stored_text(definition)
    rows = [new_row(f"schedule {number:03}", "runtime", text, None, NOW) for number in range(SCHEDULES)]
    engine.write(lambda tx: [insert_schedule(tx, row) for row in rows])


def ticks_with_jobs(engine: Engine) -> tuple[Counter[Any], list[str | None]]:
    """Return how many jobs each tick has, and the jobs that the ticks name."""
    jobs = engine.read(lambda tx: inspect.list_jobs(tx, inspect.Filter(), limit=1_000, cursor=None))
    names = [f"schedule {number:03}" for number in range(SCHEDULES)]
    ticks = [tick for name in names for tick in engine.read(lambda tx, name=name: list_ticks(tx, name))]  # type: ignore[misc]
    return Counter(job.meta for job in jobs), [tick.job for tick in ticks]


def test_threads(durable_engine: Engine, race: Callable[[int, Callable[[int], Any]], list[Any]]) -> None:
    """Four leaders in one instant enqueue each of 300 ticks once between them."""
    create(durable_engine, Definition(HOURLY, job=JOB))
    clock = ManualClock(NOW + HOUR)

    def lead(_: int) -> None:
        leaders = Leaders(durable_engine, clock=clock)
        while leaders.lead().looks:
            continue

    race(4, lead)
    Leaders(durable_engine, clock=clock).lead_on()
    counted, named = ticks_with_jobs(durable_engine)
    assert set(counted.values()) == {1}
    assert len(counted) == len(named) == SCHEDULES


def test_processes(durable_engine: Engine, address: str, child: Callable[..., Child]) -> None:
    """Three processes that lead at once, one of them killed, leave each of 300 ticks with one job."""
    create(durable_engine, Definition(HOURLY, job=JOB))
    leaders = [child(LEAD, address, str(NOW + HOUR)) for _ in range(3)]
    for one in leaders:
        assert one.line() == "ready"
    for one in leaders:
        one.say("go")
    leaders[0].kill()
    for one in leaders[1:]:
        assert one.line() == "done"
    Leaders(durable_engine, clock=ManualClock(NOW + HOUR)).lead_on()
    counted, named = ticks_with_jobs(durable_engine)
    assert set(counted.values()) == {1}
    assert len(counted) == len(named) == SCHEDULES


def test_ends_beside_the_leader(durable_engine: Engine, race: Callable[[int, Callable[[int], Any]], list[Any]]) -> None:
    """Jobs that end while the leader looks at their schedules never let two of one schedule in at once."""
    created = Leaders(durable_engine)
    for number in range(8):
        created.create(Definition(HOURLY, job=JOB, overlap="queue", catch_up="all"), f"queue {number}")
    clock = ManualClock(NOW + 10 * HOUR)

    def play(part: int) -> int:
        leaders = Leaders(durable_engine, clock=clock)
        ended = 0
        for _ in range(40):
            if part < 2:
                durable_engine.write(lambda tx: work_off(tx, leaders.features, clock))
            elif leaders.end() is not None:
                ended += 1
        return ended

    ended = sum(race(4, play))
    rest = Leaders(durable_engine, clock=clock)
    rest.lead_on()
    while rest.end() is not None:
        ended += 1
        rest.lead_on()
    assert ended == 80
    ticks = [rest.ticks(BY_CLOCK, f"queue {number}") for number in range(8)]
    assert all([tick.state for tick in each] == [TickState.ENQUEUED] * 10 for each in ticks)
