"""Notices lanes that start nothing: reports what blocks the event loop, and gives back jobs that wait in vain."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from lineshaft.clock import SECOND
from lineshaft.store.upkeep import Blocked
from lineshaft.worker.dispatch import Dispatcher
from lineshaft.worker.lanes.async_ import AsyncLane, LoopThread
from lineshaft.worker.lanes.base import Lane
from lineshaft.worker.run import Run
from lineshaft.worker.slots import QueueSlots

_log = logging.getLogger("lineshaft.worker")

STALL_SECONDS: Final = 1.0
"""How long nothing may move before it counts as stalled."""


class LoopWatch:
    """Has the event loop answer, and reports once who keeps it from answering for a second."""

    def __init__(self, loop: LoopThread) -> None:
        self._loop = loop
        self._asked = 0
        self._asked_at = 0.0
        self._is_reported = False
        self.blocked: Blocked | None = None
        """What blocks the loop; `since` is in microseconds of the clock that `is_blocked` is given."""

    def is_blocked(self, now: float) -> bool:
        """Ask again if the loop has answered; tell whether it has not for a second."""
        if self._loop.beats >= self._asked:
            self._is_reported, self.blocked = False, None
            self._asked, self._asked_at = self._loop.beats + 1, now
            self._loop.beat()
            return False
        seconds = now - self._asked_at
        if seconds < STALL_SECONDS:
            return False
        if not self._is_reported:
            self._is_reported = True
            self._report(seconds)
        return True

    def _report(self, seconds: float) -> None:
        run = self._loop.current_run()
        stack = self._loop.stack()
        since = round(self._asked_at * SECOND)
        self.blocked = Blocked(since, run.id if run else None, run.name if run else None, stack)
        who = f"job {run.id} ({run.name})" if run is not None else "something"
        _log.error(
            "%s blocks the event loop for %.1f s now, no other async job of this process goes on; "
            "have it await, or make it a plain function. It is here:\n%s",
            who,
            seconds,
            stack,
        )


class StallWatch:
    """Looks after all lanes of a worker; `step` is driven by the liveness thread, which no job can block."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        slots_of: Callable[[str], QueueSlots],
        loop: Callable[[], LoopThread | None],
        look: Callable[[str], None],
    ) -> None:
        self._dispatcher, self._slots_of, self._loop, self._look = dispatcher, slots_of, loop, look
        self._loop_watch: LoopWatch | None = None
        self._heads: dict[Lane, tuple[Run, float]] = {}

    def step(self, now: float) -> None:
        """Look once; `now` is in seconds of a clock that never goes back."""
        is_loop_blocked = self._is_loop_blocked(now)
        for queue, lane in self._dispatcher.lanes_by_queue():
            if isinstance(lane, AsyncLane):
                self._hold_claims(self._slots_of(queue), is_blocked=is_loop_blocked)
            if self._is_stalled(lane, now):
                # It came with jobs that were short; these are not, so none is taken ahead until some have ended.
                self._slots_of(queue).forget_rate()
                self._dispatcher.withdraw(lane)

    def blocked(self) -> Blocked | None:
        """Return what blocks the event loop, with the time by this watch's clock."""
        return self._loop_watch.blocked if self._loop_watch is not None else None

    def _is_loop_blocked(self, now: float) -> bool:
        loop = self._loop()
        if loop is None:
            return False
        if self._loop_watch is None:
            self._loop_watch = LoopWatch(loop)
        return self._loop_watch.is_blocked(now)

    def _hold_claims(self, slots: QueueSlots, *, is_blocked: bool) -> None:
        was_blocked, slots.is_blocked = slots.is_blocked, is_blocked
        if was_blocked and not is_blocked:
            self._look(slots.name)

    def _is_stalled(self, lane: Lane, now: float) -> bool:
        """Tell whether the job that is next has been next for a second: nothing was started meanwhile."""
        head = lane.next_run()
        known = self._heads.get(lane)
        if head is None:
            self._heads.pop(lane, None)
        elif known is None or known[0] is not head:
            self._heads[lane] = (head, now)
        return known is not None and known[0] is head and now - known[1] >= STALL_SECONDS
