"""Looks at a store again and again, and compares each look with those before.

A look is six statements whose cost does not grow with the store (`store.rates`). Of what ends, workers tell with each
heartbeat; what comes is the difference of a number that the database keeps anyway. Both are a second late at most.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from lineshaft.cli.top.snapshot import QueueView, Rates, Snapshot, WorkerView
from lineshaft.clock import SECOND, to_datetime
from lineshaft.engines.base import Engine, Row, Tx
from lineshaft.store import inspect, rates
from lineshaft.store.inspect import WorkerRow
from lineshaft.store.rates import Due, QueueLoad, Ready, WorkerLoad, load_of
from lineshaft.transitions import Stage

_MOST_HEADS: Final = 500
_MOST_COUNTED: Final = 50_000
_MOST_OF_ONE: Final = 10_000
_LEAST_OF_ONE: Final = 100
_SMOOTHED: Final = 3 * SECOND
"""Sessions of PostgreSQL bring its numbers up to date once a second: over less, rates would jump."""
_NOTHING: Final = QueueLoad(0, 0, 0, 0)


@dataclass(frozen=True)
class Look:
    """What the store answered."""

    at: int
    limit: int
    """As far as the jobs of one queue and rank were counted."""
    ready: list[Ready]
    due: list[Due]
    settings: list[Row]
    workers: list[WorkerRow]
    enqueued: int


class Speed(NamedTuple):
    """How fast jobs of one queue end in one worker, a second."""

    ended: float
    failed: float
    put_back: float


@dataclass
class Pace:
    """What one worker said last, and how fast it was between its last two heartbeats."""

    at: int
    load: WorkerLoad
    speeds: dict[str, Speed] | None = None

    def hear(self, at: int, load: WorkerLoad) -> None:
        """Take in what it says now; without a new heartbeat, what was known still stands."""
        seconds = (at - self.at) / SECOND
        if seconds > 0:
            self.speeds = {name: self._speed(name, now, seconds) for name, now in load.queues.items()}
            self.at, self.load = at, load

    def _speed(self, queue: str, now: QueueLoad, seconds: float) -> Speed:
        before = self.load.queues.get(queue, _NOTHING)
        return Speed(
            (now.ended - before.ended) / seconds,
            (now.failed - before.failed) / seconds,
            (now.put_back - before.put_back) / seconds,
        )


@dataclass
class Tally:
    """One queue's counts."""

    ready: int = 0
    scheduled: int = 0
    retrying: int = 0
    running: int = 0
    oldest: int | None = None
    is_partial: bool = False

    @property
    def depth(self) -> int | None:
        """How many unfinished jobs it holds; None when not all were counted."""
        return None if self.is_partial else self.ready + self.scheduled + self.retrying


@dataclass
class Observer:
    """Looks at one store; `silence` is after how many microseconds a worker that says nothing is called silent."""

    engine: Engine
    silence: int
    _paces: dict[int, Pace] = field(default_factory=dict)
    _enqueued: deque[tuple[int, int]] = field(default_factory=deque)
    _depths: dict[str, int | None] = field(default_factory=dict)
    _looked_at: int | None = None

    def look(self) -> Snapshot:
        """Ask the store and return what it shows; raises `StoreError` when it does not answer."""
        clock = self.engine.clock
        started = clock.monotonic()
        look = self.engine.read(self._ask)
        read_ms = (clock.monotonic() - started) * 1_000
        self._hear_workers(look)
        tallies = _tallies(look)
        queues = [self._queue(look, name, tallies[name]) for name in sorted(tallies)]
        overall = Rates(self._enqueue_rate(look), self._sum("ended"), self._sum("failed"))
        self._depths = {name: tally.depth for name, tally in tallies.items()}
        self._looked_at = look.at
        workers = [self._worker(look, row) for row in look.workers]
        return Snapshot(to_datetime(look.at), self.engine.address, overall, queues, workers, round(read_ms, 1))

    def _ask(self, tx: Tx) -> Look:
        heads = rates.list_heads(tx, limit=_MOST_HEADS)
        limit = max(_LEAST_OF_ONE, min(_MOST_OF_ONE, _MOST_COUNTED // max(1, len(heads))))
        ready = rates.count_ready(tx, heads, limit=limit)
        due = rates.count_due(tx, limit=_MOST_OF_ONE)
        settings, workers = inspect.list_queues(tx), inspect.list_workers(tx)
        return Look(self.engine.clock.now(), limit, ready, due, settings, workers, rates.enqueued_total(tx))

    def _hear_workers(self, look: Look) -> None:
        loads = {row.id: (row.heartbeat_at, load_of(row.load)) for row in look.workers}
        self._paces = {number: self._paces.get(number) or Pace(*said) for number, said in loads.items()}
        for number, said in loads.items():
            self._paces[number].hear(*said)

    def _enqueue_rate(self, look: Look) -> float | None:
        self._enqueued.append((look.at, look.enqueued))
        while len(self._enqueued) > 2 and look.at - self._enqueued[1][0] >= _SMOOTHED:  # noqa: PLR2004 - two make a rate
            self._enqueued.popleft()
        (since, before), (now, total) = self._enqueued[0], self._enqueued[-1]
        return max(0.0, (total - before) * SECOND / (now - since)) if now > since else None

    def _sum(self, what: str, queue: str | None = None) -> float | None:
        known = [pace.speeds for pace in self._paces.values() if pace.speeds is not None]
        if not known and self._looked_at is None:
            return None
        return sum(
            float(getattr(speed, what)) for speeds in known for name, speed in speeds.items() if queue in (None, name)
        )

    def _queue(self, look: Look, name: str, tally: Tally) -> QueueView:
        ended, put_back = self._sum("ended", name), self._sum("put_back", name)
        oldest = None if tally.oldest is None else max(0.0, (look.at - tally.oldest) / SECOND)
        return QueueView(
            name=name,
            paused=any(row[0] == name and row[1] is not None for row in look.settings),
            waiting=max(0, tally.ready - tally.running),
            scheduled=tally.scheduled,
            retrying=tally.retrying,
            running=tally.running,
            is_partial=tally.is_partial,
            oldest_seconds=oldest,
            rate_in=self._rate_in(look, name, tally, (ended or 0.0) - (put_back or 0.0)),
            rate_out=ended,
            rate_failed=self._sum("failed", name),
        )

    def _rate_in(self, look: Look, name: str, tally: Tally, leaving: float) -> float | None:
        """Return how many jobs a second came: as many as left, and what the queue grew by."""
        before, now = self._depths.get(name, 0), tally.depth
        if self._looked_at is None or look.at <= self._looked_at or before is None or now is None:
            return None
        return max(0.0, leaving + (now - before) * SECOND / (look.at - self._looked_at))

    def _worker(self, look: Look, row: WorkerRow) -> WorkerView:
        load, age = load_of(row.load), max(0, look.at - row.heartbeat_at)
        speeds = self._paces[row.id].speeds
        return WorkerView(
            id=row.id,
            host=row.host,
            pid=row.pid,
            version=row.version,
            state="silent" if age > self.silence else "draining" if row.is_draining else "running",
            slots=load.slots,
            busy=min(load.slots, sum(queue.held for queue in load.queues.values())),
            rate=None if speeds is None else sum(speed.ended for speed in speeds.values()),
            heartbeat_seconds=round(age / SECOND, 1),
            queues=list(msgspec.json.decode(row.queues)),
            duty=load.duty,
        )


def _tallies(look: Look) -> dict[str, Tally]:
    served = {name for row in look.workers for name in msgspec.json.decode(row.queues)}
    names = (
        served | {row[0] for row in look.settings} | {one.queue for one in look.ready} | {one.queue for one in look.due}
    )
    tallies = {name: Tally() for name in names}
    for one in look.ready:
        _add_ready(tallies[one.queue], one, look.limit)
    is_partial = sum(one.counted for one in look.due) >= _MOST_OF_ONE
    for waits in look.due:
        _add_due(tallies[waits.queue], waits, is_partial=is_partial)
    for row in look.workers:
        loads = load_of(row.load).queues
        for name, places in msgspec.json.decode(row.queues).items():
            tallies[name].running += min(places, loads.get(name, _NOTHING).held)  # more are taken ahead of their turn
    return tallies


def _add_ready(tally: Tally, ready: Ready, limit: int) -> None:
    tally.ready += ready.counted
    tally.is_partial = tally.is_partial or ready.counted >= limit
    if ready.oldest is not None:
        tally.oldest = ready.oldest if tally.oldest is None else min(tally.oldest, ready.oldest)


def _add_due(tally: Tally, due: Due, *, is_partial: bool) -> None:
    tally.is_partial = tally.is_partial or is_partial
    if due.stage == Stage.PARKED:
        tally.ready += due.counted
    elif due.stage == Stage.RETRYING:
        tally.retrying += due.counted
    else:
        tally.scheduled += due.counted
