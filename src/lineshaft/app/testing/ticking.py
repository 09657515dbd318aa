"""What the leader does about schedules in service, done when the clock of a test gets there."""

from __future__ import annotations

from typing import Final

from lineshaft.errors import LineshaftError
from lineshaft.events import Event, ScheduleTicked, Subscribers
from lineshaft.feature import Office
from lineshaft.features.schedules.records import next_due
from lineshaft.worker.runtime import Runtime

_MOST: Final = 10_000


class _Counted(Subscribers):
    """Tells who listens to the app's events, and counts the ticks among them."""

    def __init__(self, others: Subscribers) -> None:
        super().__init__()
        self._others = others
        self.ticks = 0

    def want(self, kind: str) -> bool:
        """Want every tick, and what others want."""
        return kind == ScheduleTicked.kind or self._others.want(kind)

    def tell(self, event: Event) -> None:
        """Count a tick, and tell others of it."""
        self.ticks += isinstance(event, ScheduleTicked)
        self._others.tell(event)


class Ticking:
    """The leader's duties, without a leader: whatever is due is done at once, in the thread of the test.

    They are not begun as in service, so that the store's own housekeeping is not among a test's schedules.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._engine = engine = runtime.engine
        self._told = _Counted(runtime.subscribers)
        office = Office(engine, engine.clock, self._told, lambda _: False)
        self._duties = [duty for feature in runtime.features for duty in feature.duties(office)]

    def next_at(self) -> int | None:
        """Return when a schedule has to be looked at next."""
        return self._engine.read(next_due)

    def step(self) -> None:
        """Have the ticks that are due enqueue their jobs; raises `LineshaftError` when it does not end."""
        now = self._engine.clock.now()
        while (due := self.next_at()) is not None and due <= now:
            if self._told.ticks > _MOST:
                msg = f"the clock of this test went past {_MOST:,} ticks of schedules: travel less far, or pause some"
                raise LineshaftError(msg)
            for duty in self._duties:
                duty.step(now)
