"""What the leader does about schedules in service, done when the clock of a test gets there."""

from __future__ import annotations

from typing import Final

from lineshaft.errors import LineshaftError
from lineshaft.feature import Office
from lineshaft.features.schedules.records import next_due
from lineshaft.worker.runtime import Runtime

_MOST: Final = 10_000


class Ticking:
    """The leader's duties, without a leader: whatever is due is done at once, in the thread of the test.

    They are not begun as in service, so that the store's own housekeeping is not among a test's schedules.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._engine = engine = runtime.engine
        office = Office(engine, engine.clock, runtime.subscribers, lambda _: False)
        self._duties = [duty for feature in runtime.features for duty in feature.duties(office)]
        self._count = 0

    def next_at(self) -> int | None:
        """Return when a schedule has to be looked at next."""
        return self._engine.read(next_due)

    def step(self) -> None:
        """Have the ticks that are due enqueue their jobs; raises `LineshaftError` when it does not end."""
        now = self._engine.clock.now()
        while (due := self.next_at()) is not None and due <= now:
            self._count += 1
            if self._count > _MOST:
                msg = f"the clock of this test went past {_MOST:,} ticks of schedules: travel less far, or pause some"
                raise LineshaftError(msg)
            for duty in self._duties:
                duty.step(now)
