"""Exactly one job a tick where the state machines do not go: lost answers, rows that went back, a restored backup."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft.clock import HOUR, ManualClock
from lineshaft.config import Retention
from lineshaft.errors import StoreUnavailableError
from lineshaft.events import Subscribers
from lineshaft.feature import Office
from lineshaft.features.schedules.definition import Definition
from lineshaft.features.schedules.records import BY_CLOCK, Move, move_schedules
from lineshaft.features.schedules.scheduler import Scheduler
from lineshaft.store import inspect
from lineshaft.store.migrate import migrate
from tests.features.schedules.leaders import HOURLY, JOB, NAME, Leaders
from tests.plugins.engines import NOW, open_engine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lineshaft.engines.base import Engine


class Lossy:
    """An engine that commits, and then loses the answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.loses = engine, True

    def read(self, operation: Callable[[Any], Any]) -> Any:
        """Read as ever."""
        return self._engine.read(operation)

    def write(self, operation: Callable[[Any], Any]) -> Any:
        """Write, and fail once that is committed."""
        found = self._engine.write(operation)
        if self.loses:
            msg = "the connection broke"
            raise StoreUnavailableError(msg)
        return found


def stored(engine: Engine) -> list[str]:
    rows = engine.read(lambda tx: inspect.list_jobs(tx, inspect.Filter(), limit=1_000, cursor=None))
    return sorted(row.id for row in rows)


def test_the_answer_of_the_commit_is_lost(engine: Engine) -> None:
    """A leader that does not know whether its commit counted goes on from what is stored."""
    leaders = Leaders(engine)
    leaders.create(Definition(HOURLY, job=JOB))
    leaders.wait(HOUR)
    lossy = Lossy(engine)
    office = Office(lossy, leaders.clock, Subscribers(), lambda _: True)
    scheduler = Scheduler(office, leaders.features, Retention())
    with pytest.raises(StoreUnavailableError):
        scheduler.step(leaders.now)
    lossy.loses = False
    assert scheduler.step(leaders.now) > leaders.now
    assert [tick.job for tick in leaders.ticks(BY_CLOCK)] == stored(engine)
    assert len(stored(engine)) == 1


def test_a_schedule_that_went_back(engine: Engine) -> None:
    """A schedule that was set back to earlier ticks, by whatever fault, passes over them: their keys are taken."""
    leaders = Leaders(engine)
    leaders.create(Definition(HOURLY, job=JOB, catch_up="all"))
    leaders.wait(3 * HOUR)
    leaders.lead_on()
    before = leaders.ticks(BY_CLOCK)
    engine.write(lambda tx: move_schedules(tx, [Move(NAME, NOW + HOUR, NOW, None, None, None)]))
    leaders.wait(HOUR)
    leaders.lead_on()
    after = leaders.ticks(BY_CLOCK)
    assert after[:3] == before
    assert [tick.at for tick in after] == [NOW + number * HOUR for number in range(1, 5)]
    assert [tick.job for tick in after] == stored(engine)


def test_a_restored_file(tmp_path: Path) -> None:
    """In a store that is put back to yesterday the ticks since then come as `catch_up` says, with the same job ids."""
    engine = open_engine(f"sqlite:///{tmp_path / 'jobs.db'}")
    migrate(engine)
    leaders = Leaders(engine)
    leaders.create(Definition(HOURLY, job=JOB, catch_up="all"))
    leaders.wait(HOUR)
    leaders.lead_on()
    engine.close()
    shutil.copy(tmp_path / "jobs.db", tmp_path / "backup.db")
    engine = open_engine(f"sqlite:///{tmp_path / 'jobs.db'}")
    lost = Leaders(engine, clock=ManualClock(NOW + 3 * HOUR))
    lost.lead_on()
    ids = stored(engine)
    engine.close()
    restored = open_engine(f"sqlite:///{tmp_path / 'backup.db'}")
    later = Leaders(restored, clock=ManualClock(NOW + 3 * HOUR + HOUR // 2))
    later.lead_on()
    assert stored(restored) == ids
    restored.close()
