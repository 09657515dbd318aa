"""Decides how many jobs to take from which queue, and takes them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from lineshaft.clock import SECOND, Clock
from lineshaft.engines.base import Engine, Tx
from lineshaft.store.claim import Claimed, claim_jobs, next_due, promote_due
from lineshaft.store.upkeep import set_idle
from lineshaft.transitions import PutBack, Transition
from lineshaft.worker.ageing import Ageing
from lineshaft.worker.floor import Floor, seconds_beyond_the_way
from lineshaft.worker.lanes.places import Places
from lineshaft.worker.queue_order import QueueOrder, Weights
from lineshaft.worker.run import Run

_log = logging.getLogger("lineshaft.worker")

_LARGEST_CLAIM: Final = 1_000
# A claimed job that waits in this worker cannot be taken by another: it should not wait for longer than this.
_PREFETCH_SECONDS: Final = 0.05
_SMOOTHING: Final = 0.3
# Few jobs say little about the next ones: at first there are only so many times as many ahead as ended in a round.
_GROWTH: Final = 8
_FADING: Final = 0.7
_DUE_CHECK: Final = SECOND // 2


class QueueSlots:
    """One queue's places in this worker, and how fast jobs went through them lately."""

    def __init__(self, name: str, limit: int) -> None:
        self.name, self.limit = name, limit
        self.places = Places(limit)
        self.held = 0
        self.ended = 0
        """How many of its jobs have ended here so far, well or not."""
        self.hung: list[Run] = []
        """Those of them that ignore being stopped: they keep their jobs, and others have their places."""
        self.rate = 0.0
        """Jobs a second while the lanes had any, smoothed."""
        self._recent = 0.0
        """How many jobs ended in a round: the most of the last few."""
        self.may_have_jobs = True
        self.may_prefetch = True
        """Whether the last jobs were none for child processes: a job taken ahead might wait while one starts."""
        self.is_blocked = False
        """Whether its lane starts nothing at the moment, so that claimed jobs would only wait."""
        self.floor = Floor()
        self.ageing: Ageing | None = None

    def room(self) -> int:
        """Return how many jobs may be claimed now: the free places, and a little more for short jobs."""
        prefetch = int(min(self.rate * _PREFETCH_SECONDS, self._recent * _GROWTH)) if self.may_prefetch else 0
        return min(self.limit + prefetch - self.busy, _LARGEST_CLAIM)

    @property
    def busy(self) -> int:
        """How many places are taken."""
        for run in [one for one in self.hung if one.is_ended]:
            self.hung.remove(run)
        return self.held - len(self.hung)

    def finished(self, count: int, unstarted: int, seconds: float) -> None:
        """Note that this many jobs ended, some of them without a start, in a time in which lanes had jobs to run."""
        self.held -= count
        self.ended += count - unstarted
        self._recent = max(count - unstarted, self._recent * _FADING)
        if seconds > 0:
            self.rate += _SMOOTHING * ((count - unstarted) / seconds - self.rate)


class Claimer:
    """Takes jobs for one worker; the queues come in the order in which they are served."""

    def __init__(
        self,
        engine: Engine,
        worker: int,
        queues: Mapping[str, int],
        slots: int,
        clock: Clock,
        order: QueueOrder | None = None,
    ) -> None:
        self._engine, self._worker, self._clock = engine, worker, clock
        self.queues = {name: QueueSlots(name, limit) for name, limit in queues.items()}
        order = order or QueueOrder()
        self._weights = None if order.weights is None else Weights(order.weights)
        for name, period in order.ageing.items():
            self.queues[name].ageing = Ageing(period)
        self._slots = slots
        self._slots_bind = slots < sum(queues.values())
        self._next_due: int | None = 0
        self._due_checked = 0
        self._is_idle = False
        self.is_open = True
        self.has_lease: Callable[[], bool] = lambda: True
        """Whether this worker may still claim: one that slept may have been declared dead, and others not look back."""

    @property
    def busy(self) -> int:
        """How many places of this worker are taken."""
        return sum(queue.busy for queue in self.queues.values())

    def look(self, queues: Iterable[str] | None = None) -> None:
        """Note that these queues (None: all) may have jobs."""
        for name in self.queues if queues is None else queues:
            if name in self.queues:
                self.queues[name].may_have_jobs = True

    def due_at(self, instant: int) -> None:
        """Note that a job falls due at this time."""
        if self._next_due is None or instant < self._next_due:
            self._next_due = instant

    def has_work(self, now: int) -> bool:
        """Tell whether there is a reason to ask the store."""
        has_reason = self._is_due(now) or any(self._room(queue) > 0 for queue in self._hopeful())
        return has_reason and self.is_open and self.has_lease()

    def wait(self, now: int) -> float:
        """Return the seconds until there is a reason to look without being woken."""
        until_due = self._engine.idle_poll if self._next_due is None else (self._next_due - now) / SECOND
        return max(0.0, min(self._engine.idle_poll, until_due))

    def claim(self, tx: Tx, now: int) -> list[Claimed]:
        """Let due jobs in and take jobs up to the free places."""
        if not self.is_open or not self.has_lease():
            return []
        self._let_due_in(tx, now)
        claimed = self._claim_strictly(tx, now) if self._weights is None else self._claim_by(self._weights, tx, now)
        self._say_idle(tx, is_idle=not any(queue.may_have_jobs for queue in self.queues.values()))
        return claimed

    def claim_alone(self, now: int) -> list[Claimed]:
        """As `claim`, with nothing to commit besides."""
        return self._engine.write_apart(lambda tx: self.claim(tx, now))

    def _claim_strictly(self, tx: Tx, now: int) -> list[Claimed]:
        claimed: list[Claimed] = []
        for queue in self._hopeful():
            room = self._room(queue, len(claimed))
            if room > 0:
                claimed += self._claim_from(tx, queue, room, now)
        return claimed

    def _claim_by(self, weights: Weights, tx: Tx, now: int) -> list[Claimed]:
        claimed: list[Claimed] = []
        rooms = {queue.name: self._room(queue) for queue in self._hopeful()}
        turns = weights.begin(self._slots - self.busy, rooms)
        while (turn := turns.next()) is not None:
            name, share = turn
            found = self._claim_from(tx, self.queues[name], share, now)
            turns.took(name, len(found))
            claimed += found
        return claimed

    def _claim_from(self, tx: Tx, queue: QueueSlots, room: int, now: int) -> list[Claimed]:
        if queue.ageing is None:
            return self._claim_first(tx, queue, room, now)
        aged = queue.ageing.claim(tx, self._clock, queue=queue.name, room=room, worker=self._worker, now=now)
        return aged if len(aged) == room else aged + self._claim_first(tx, queue, room - len(aged), now)

    def _claim_first(self, tx: Tx, queue: QueueSlots, room: int, now: int) -> list[Claimed]:
        queue.may_have_jobs = False  # before the claim: a wake-up that comes meanwhile must not be undone
        start, before = queue.floor.start(), self._clock.monotonic()
        found = claim_jobs(tx, queue=queue.name, limit=room, worker=self._worker, now=now, start=start)
        is_full = len(found) == room
        queue.may_have_jobs |= is_full
        if self._engine.dialect == "postgres":  # only there do finished jobs lie in a claim's way
            seconds = seconds_beyond_the_way(self._clock, before)
            queue.floor.took(found, start, is_full=is_full, seconds=seconds, now=now)
        return found

    def took(self, claimed: Iterable[Claimed]) -> None:
        """Count claimed jobs, once their transaction is committed."""
        for one in claimed:
            self.queues[one.queue].held += 1

    def wrote(self, transitions: Iterable[Transition]) -> None:
        """Look again when a job came back to a queue of ours."""
        for one in transitions:
            if isinstance(one, PutBack):
                if one.run_at is None or one.run_at <= self._clock.now():
                    self.look()
                else:
                    self.due_at(one.run_at)

    def _hopeful(self) -> list[QueueSlots]:
        return [queue for queue in self.queues.values() if queue.may_have_jobs and not queue.is_blocked]

    def _room(self, queue: QueueSlots, more: int = 0) -> int:
        if not self._slots_bind:
            return queue.room()
        return min(queue.limit - queue.busy, self._slots - self.busy - more)

    def _is_due(self, now: int) -> bool:
        return self._next_due is not None and self._next_due <= now

    def _let_due_in(self, tx: Tx, now: int) -> None:
        if not self._is_due(now):
            # What woke us may be a job that falls due soon. We look right after this claim, which must not wait.
            checked = min(self._due_checked, now)  # the clock may have been set back meanwhile
            self.due_at(max(now, checked + _DUE_CHECK))
            return
        if promote_due(tx, now):
            self.look()
        self._next_due = next_due(tx)
        self._due_checked = now

    def _say_idle(self, tx: Tx, *, is_idle: bool) -> None:
        # Only PostgreSQL asks before it wakes; jobs that come one by one must not cost a write each.
        if is_idle != self._is_idle and self._engine.dialect == "postgres":
            set_idle(tx, worker=self._worker, is_idle=is_idle)
            self._is_idle = is_idle
            if is_idle:
                self.look()  # whoever enqueued before this is committed did not wake us
