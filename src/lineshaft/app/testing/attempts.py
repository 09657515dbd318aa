"""Which jobs a test runs next: those that are due, those that fall due on a journey, or a single one."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lineshaft.app.testing.clock import StandingClock
from lineshaft.app.testing.hand import HandWorker
from lineshaft.clock import Duration, to_datetime, to_instant, to_micros
from lineshaft.counts import checked_count
from lineshaft.errors import ConfigError, LineshaftError
from lineshaft.job import Job
from lineshaft.transitions import State
from lineshaft.worker.run import Run

if TYPE_CHECKING:
    from lineshaft.app.core import Lineshaft

FOREVER: Final = 2**62
_RUNAWAY: Final = 10_000


class Attempts:
    """Claims jobs one by one, each when whoever iterates has run the one before."""

    def __init__(
        self, app: Lineshaft, clock: StandingClock, worker: Callable[[], HandWorker], *, is_inline: bool
    ) -> None:
        self._app, self._clock, self._worker, self._is_inline = app, clock, worker, is_inline
        self.uncommitted: set[str] = set()
        """Jobs enqueued on a caller's connection, whose commit nobody tells us of."""

    def due(
        self,
        queue: str | None = None,
        until: int | None = None,
        limit: int | None = None,
        *,
        spares_uncommitted: bool = False,
    ) -> Generator[Run]:
        """Claim jobs one by one; `until` moves the clock, up to that instant, when none is left that is due."""
        spared: list[Run] = []
        count = 0
        try:
            while (limit is None or count < limit) and (run := self._next(queue, until)) is not None:
                if (spares_uncommitted and run.id in self.uncommitted) or count >= _RUNAWAY:
                    spared.append(run)
                    self._refuse_runaway(count)
                else:
                    count += 1
                    yield run
        finally:
            if spared:
                self._worker().release(spared)

    def _next(self, queue: str | None, until: int | None) -> Run | None:
        worker = self._worker()
        while True:
            worker.ticking.step()
            worker.keep_up()
            found = worker.first(queue)
            if found is not None:
                worker.start()
                run = worker.hand_out(worker.claim(*found))
                if run is not None:
                    return run
                continue
            stop = self._next_stop(queue, until)
            if stop is None:
                return None
            self._clock.move_to(stop)

    def _next_stop(self, queue: str | None, until: int | None) -> int | None:
        """Return the next instant at which there is something to do; None when that is after `until`, or never."""
        if until is None:
            return None
        due = self._next_due(queue)
        # For ever there are ticks: without an end the clock passes only those that come before a job that waits.
        tick = None if due is None and until >= FOREVER else self._worker().ticking.next_at()
        look = self._worker().next_look()
        stop = min((one for one in (due, tick, look) if one is not None), default=None)
        return stop if stop is not None and stop <= until else None

    def _next_due(self, queue: str | None) -> int | None:
        waiting = self._app.jobs.iter(state=[State.SCHEDULED, State.RETRYING], queue=queue)
        return min((to_instant(job.run_at) for job in waiting), default=None)

    @staticmethod
    def _refuse_runaway(count: int) -> None:
        if count >= _RUNAWAY:
            msg = f"{count} attempts have run and more are due: do jobs enqueue or snooze for ever? drain(limit=…) ends"
            raise LineshaftError(msg)

    def journey(self, to: Duration | datetime) -> Generator[Run]:
        """Move the clock; inline, claim what falls due on the way."""
        target = to_instant(to, "to") if isinstance(to, datetime) else self._clock.now() + to_micros(to, "travel")
        if target < self._clock.now():
            msg = (
                f"travel({to!r}): it is {to_datetime(self._clock.now()).isoformat()} already, and time does not go back"
            )
            raise ConfigError(msg)
        if self._is_inline:
            yield from self.due(until=target, spares_uncommitted=True)
        else:
            self._pass_ticks(target)
        self._clock.move_to(target)
        self._worker().keep_up()

    def _pass_ticks(self, target: int) -> None:
        """Have the schedules tick on the way, each at its time; what they enqueue is kept."""
        ticking = self._worker().ticking
        ticking.step()
        while (tick := ticking.next_at()) is not None and tick <= target:
            self._clock.move_to(tick)
            ticking.step()

    def of_one(self, job: Job[Any], attempt: int) -> Generator[Run]:
        """Claim one stored job, as its attempt of this number."""
        checked_count("attempt", attempt)
        worker = self._worker()
        worker.start()
        place = worker.place_of(job.id)
        for _ in range(attempt - 1):
            worker.count_attempt(worker.claim(job.queue, place, obeys_limits=False).jobs)
        claimed = worker.claim(job.queue, place, obeys_limits=False)
        if not claimed.jobs:
            msg = f"queue {job.queue!r} is paused, so that none of its jobs can be performed; resume it first"
            raise ConfigError(msg)
        run = worker.hand_out(claimed)
        if run is None:
            job.refresh().value  # noqa: B018 - raises why it could not start
            return
        run.options = replace(run.options, keep_result=None)  # whoever performs it wants the result
        yield run
