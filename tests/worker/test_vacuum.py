"""When a worker has its store cleaned up."""

from __future__ import annotations

from queue import Empty, Queue
from typing import TYPE_CHECKING, Any, cast

import pytest

from lineshaft.clock import ManualClock
from lineshaft.engines.sqlite import SqliteEngine
from lineshaft.worker.vacuum import Vacuum
from tests.plugins.apps import LIMIT, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator


class TimedEngine(SqliteEngine):
    """A store in memory whose clock stands still, except that a vacuum takes `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(None)
        self.manual = ManualClock()
        self.clock = cast("Any", self.manual)
        self.seconds = seconds
        self.vacuumed: Queue[float] = Queue()

    def vacuum(self) -> None:
        """Vacuum, and let the time pass."""
        super().vacuum()
        began_at = self.manual.monotonic()
        self.manual.advance(self.seconds)
        self.vacuumed.put(began_at)


@pytest.fixture
def slow_engine() -> Iterator[TimedEngine]:
    """A store of which a vacuum takes a second."""
    engine = TimedEngine(1.0)
    yield engine
    engine.close()


def test_vacuum_follows_jobs_every_two_seconds(slow_engine: TimedEngine) -> None:
    """The store is cleaned up after 5,000 jobs, two seconds after the last time at the soonest."""
    vacuum = Vacuum(slow_engine)
    vacuum.after(10_000)
    slow_engine.manual.advance(2)
    vacuum.after(0)
    assert slow_engine.vacuumed.get(timeout=LIMIT)
    slow_engine.manual.advance(100)
    vacuum.after(4_999)
    vacuum.close()
    with pytest.raises(Empty):
        slow_engine.vacuumed.get_nowait()


def test_a_slow_vacuum_waits_ten_times_as_long(slow_engine: TimedEngine) -> None:
    """A vacuum that took a second is not repeated within ten: it can remove nothing while a transaction is open."""
    vacuum = Vacuum(slow_engine)
    slow_engine.manual.advance(2)
    vacuum.after(5_000)
    first = slow_engine.vacuumed.get(timeout=LIMIT)
    eventually(lambda: vacuum.pause_seconds == pytest.approx(10))
    for seconds in (8, 2):
        slow_engine.manual.advance(seconds)
        vacuum.after(5_000)
    assert slow_engine.vacuumed.get(timeout=LIMIT) - first >= 10
    vacuum.close()
