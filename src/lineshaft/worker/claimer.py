"""Decides how many jobs to take from which queue, and takes them."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from lineshaft.clock import SECOND, Clock
from lineshaft.engines.base import Engine, Tx
from lineshaft.store.claim import Claimed, Place, claim_jobs, next_due, promote_due
from lineshaft.store.grants import claim_granted
from lineshaft.store.upkeep import set_idle
from lineshaft.transitions import PutBack, Transition
from lineshaft.worker.ageing import Ageing
from lineshaft.worker.floor import seconds_beyond_the_way
from lineshaft.worker.grants import Grants
from lineshaft.worker.queue_order import QueueOrder, Weights
from lineshaft.worker.share import Ask
from lineshaft.worker.slots import QueueSlots

if TYPE_CHECKING:
    from lineshaft.worker.finisher import Batch

_log = logging.getLogger("lineshaft.worker")

_DUE_CHECK: Final = SECOND // 2


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
        self.grants = Grants(worker, queues)
        self.unwritten: Callable[[str, Batch | None], int] = lambda _queue, _batch: 0
        """How many jobs of a queue have ended here whose end is not written, nor is in the transaction of a batch."""
        self._looked_at = clock.monotonic()
        self._waits_for_grant = False

    @property
    def busy(self) -> int:
        """How many places of this worker are taken."""
        return sum(queue.busy for queue in self.queues.values())

    def look(self, queues: Iterable[str] | None = None) -> None:
        """Note that these queues (None: all) may have jobs."""
        if queues is None:
            self._looked_at = self._clock.monotonic()
        for name in self.queues if queues is None else queues:
            if name in self.queues:
                self.queues[name].may_have_jobs = True
                self.grants.rung(name)

    def recall(self, queues: Collection[str]) -> None:
        """Note that jobs of these queues are back at places that they had long ago: claims begin at the head once."""
        for name in queues:
            if name in self.queues:
                self.queues[name].floor.recall()
        self.look(queues)

    def hear_fair(self, names: str | None) -> None:
        """Note which queues are fair, a JSON array of names; from any thread."""
        fair: list[str] = msgspec.json.decode(names) if names else []
        for queue in self.queues.values():
            queue.is_fair = queue.name in fair

    def look_again(self) -> None:
        """Note that the time was waited for that `wait` gave: a wake-up may have been lost meanwhile."""
        since = self._clock.monotonic() - self._looked_at
        if not self._waits_for_grant or not 0 <= since < self._engine.idle_poll:
            self.look()

    def due_at(self, instant: int) -> None:
        """Note that a job falls due at this time."""
        if self._next_due is None or instant < self._next_due:
            self._next_due = instant

    def has_work(self, now: int) -> bool:
        """Tell whether there is a reason to ask the store."""
        if not self.has_lease():
            return False
        if self._asks(now) or self._has_to_give():
            return True
        return self.is_open and (self._is_due(now) or any(self._room(queue) > 0 for queue in self._hopeful()))

    def wait(self, now: int) -> float:
        """Return the seconds until there is a reason to look without being woken."""
        until_due = self._engine.idle_poll if self._next_due is None else (self._next_due - now) / SECOND
        seconds = min(self._engine.idle_poll, until_due)
        until_grant = self._seconds_until_grant(now)
        self._waits_for_grant = until_grant < seconds
        return max(0.0, min(seconds, until_grant))

    def claim(self, tx: Tx, now: int, batch: Batch | None = None) -> list[Claimed]:
        """Let due jobs in and take jobs up to the free places; the transaction may have written a batch of outcomes."""
        if not self.has_lease():
            return []
        return self._claim(tx, now, self._asks(now, batch), batch)

    def claim_alone(self, now: int) -> list[Claimed]:
        """As `claim`, with nothing to commit besides."""
        if not self.has_lease():
            return []
        asks = self._asks(now)
        write = self._engine.write if asks else self._engine.write_apart  # what is asked for is locked until the commit
        return write(lambda tx: self._claim(tx, now, asks, None))

    def _claim(self, tx: Tx, now: int, asks: Mapping[str, Ask], batch: Batch | None) -> list[Claimed]:
        claimed: list[Claimed] = []
        if asks:
            self._ask(tx, now, asks)
        if self.is_open:
            self._let_due_in(tx, now)
            claimed = self._claim_strictly(tx, now) if self._weights is None else self._claim_by(self._weights, tx, now)
        if self.grants.shares:
            self.grants.end(tx, now, claimed, lambda queue: self._held(queue, batch), is_open=self.is_open)
        if self.is_open:
            self._say_idle(tx, is_idle=not any(self._may_claim(queue, now) for queue in self.queues.values()))
        return claimed

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
        is_granted = queue.name in self.grants.shares
        aged = queue.ageing.claim(
            tx, self._clock, queue=queue.name, room=room, worker=self._worker, now=now, is_granted=is_granted
        )
        self.grants.took(queue.name, len(aged))
        return aged if len(aged) == room else aged + self._claim_first(tx, queue, room - len(aged), now)

    def _claim_first(self, tx: Tx, queue: QueueSlots, room: int, now: int) -> list[Claimed]:
        queue.may_have_jobs = False  # before the claim: a wake-up that comes meanwhile must not be undone
        start, before = queue.floor.start(), self._clock.monotonic()
        found = self._take(tx, queue, room, now, start)
        is_full = len(found) == room
        queue.may_have_jobs |= is_full
        if self._engine.dialect == "postgres":  # only there do finished jobs lie in a claim's way
            seconds = seconds_beyond_the_way(self._clock, before)
            queue.floor.took(found, start, is_full=is_full, seconds=seconds, now=now)
        return found

    def _take(self, tx: Tx, queue: QueueSlots, room: int, now: int, start: Place | None) -> list[Claimed]:
        name, share = queue.name, self.grants.shares.get(queue.name)
        if share is None:
            return claim_jobs(tx, queue=name, limit=room, worker=self._worker, now=now, start=start)
        if share.round is not None:
            found = claim_jobs(tx, queue=name, limit=room, worker=self._worker, now=now, start=start, is_granted=True)
        else:
            found = claim_granted(tx, queue=name, limit=room, worker=self._worker, now=now, places=share.places)
            queue.may_have_jobs |= not found and self.grants.found_nothing(tx, name, now)
        self.grants.took(name, len(found))
        return found

    def room_beside(self, claimed: Sequence[Claimed]) -> Mapping[str, int]:
        """Return for how many more jobs there is room once these are taken, by queue of which no job was left to take.

        Only of queues that all of the worker's places are free for, or that come first.
        """
        if not self.is_open or self._weights is not None:
            return {}
        counts = Counter(one.queue for one in claimed)
        rooms = {
            queue.name: self._own_room(queue, len(claimed)) - (0 if self._slots_bind else counts[queue.name])
            for queue in self.queues.values()
            if not queue.may_have_jobs and not queue.is_blocked and queue.name not in self.grants.shares
        }
        return rooms if not self._slots_bind else dict(list(rooms.items())[:1])

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
        room = self._own_room(queue, more)
        if queue.name not in self.grants.shares or room <= 0:
            return room
        return self.grants.limit(queue.name, self._held(queue.name), room)

    def _own_room(self, queue: QueueSlots, more: int = 0) -> int:
        if not self._slots_bind:
            return queue.room()
        return min(queue.limit - queue.busy, self._slots - self.busy - more)

    def _held(self, queue: str, batch: Batch | None = None) -> int:
        """Return how many jobs of a queue the store has as ours, once this transaction is committed."""
        return self.queues[queue].held + self.unwritten(queue, batch)

    def _asks(self, now: int, batch: Batch | None = None) -> dict[str, Ask]:
        """Return what has to be asked for before a claim, of gated queues."""
        if not self.grants.is_in_play:
            return {}
        self.grants.take_in(now)
        found: dict[str, Ask] = {}
        for name, share in self.grants.shares.items():
            queue = self.queues[name]
            if share.is_new:  # what was claimed without a grant found nothing, whatever there was
                queue.may_have_jobs, share.is_new = True, False
            is_hopeful = self.is_open and queue.may_have_jobs and not queue.is_blocked
            room = self._own_room(queue) if is_hopeful else 0
            ask = Ask(self._held(name, batch), min(room, queue.limit - queue.busy), room)
            if share.asks(ask, now, is_locking=queue.ageing is not None or queue.floor.place is not None):
                found[name] = ask
        return found

    def _ask(self, tx: Tx, now: int, asks: Mapping[str, Ask]) -> None:
        hopeful = [self.queues[name] for name, ask in asks.items() if ask.room > 0]
        for queue in hopeful:
            queue.may_have_jobs = False  # before the look: a wake-up that comes meanwhile must not be undone
        has_waiting = self.grants.begin(tx, now, asks)
        for queue in hopeful:
            queue.may_have_jobs |= has_waiting.get(queue.name, True)

    def _has_to_give(self) -> bool:
        shares = self.grants.shares
        return any(self.grants.has_to_give(name, self._held(name), is_open=self.is_open) for name in shares)

    def _may_claim(self, queue: QueueSlots, now: int) -> bool:
        """Tell whether a queue may have jobs for us, so that nobody has to wake us for them."""
        share = self.grants.shares.get(queue.name)
        if share is None:
            return queue.may_have_jobs
        waits = share.waits_for_tokens(now) or share.waits_for_places(self._held(queue.name), now)
        return queue.may_have_jobs and not waits

    def _seconds_until_grant(self, now: int) -> float:
        """Return when to ask for more of gated queues that may have jobs."""
        if not self.grants.shares:
            return math.inf
        hopeful = (queue for queue in self._hopeful() if queue.name in self.grants.shares)
        found = (
            self.grants.next_at(queue.name, self._held(queue.name), now)
            for queue in hopeful
            if self._own_room(queue) > 0
        )
        return min(((instant - now) / SECOND for instant in found if instant is not None), default=math.inf)

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
