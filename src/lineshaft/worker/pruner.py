"""Deletes finished jobs that have been kept for long enough, and what belonged to them.

Every worker has a pruner; one at a time has the turn, and two at once do no harm. It works in pieces of a few
milliseconds with pauses between them, so that whoever enqueues or finishes never waits for long.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from lineshaft.blobs import Depot
from lineshaft.clock import DAY, HOUR, MINUTE, SECOND, Clock
from lineshaft.config import Retention
from lineshaft.engines.base import Engine, Tx
from lineshaft.errors import BlobError, ConfigError, StoreError
from lineshaft.feature import Feature
from lineshaft.store.enqueue import stored_ids
from lineshaft.store.prune import (
    Dropped,
    Key,
    delete_expired,
    drop_expired_day,
    due_block,
    look_into_block,
    next_turn,
    note_block,
    prune_logs,
    take_turn,
)
from lineshaft.store.upkeep import ensure_history

_log = logging.getLogger("lineshaft.worker")

# A piece is followed by a pause of four times its length: a fifth of the time at most is spent.
_PAUSES: Final = 4
_SHORTEST_PAUSE: Final = SECOND // 500
_PIECE_SECONDS: Final = 0.004
_FIRST_BATCH: Final = 10
_MOST_AT_ONCE: Final = 100
_JOIN_SECONDS: Final = 10
_TRY_AGAIN_SECONDS: Final = 10.0

Pieces = Iterator[None]


class Pruner:
    """Prunes a store; `step` does one piece and says when to be called again."""

    def __init__(
        self, engine: Engine, retention: Retention, features: Sequence[Feature], depot: Depot | None = None
    ) -> None:
        self._engine, self._retention, self._features = engine, retention, features
        self._depot = depot or Depot()
        self._duties: dict[str, tuple[int, Callable[[], Pieces]]] = {
            "prune jobs": (MINUTE, self._prune_jobs),
            "prune leftovers": (HOUR, self._prune_leftovers),
        }
        # Blocks are looked into again after this time at the soonest, and jobs go at most about so late.
        self._slack = min(max(retention.shortest // 48, MINUTE), HOUR)
        self._batch = _FIRST_BATCH
        self._pieces: Pieces | None = None
        self._until = self._now = 0
        self.pruned = 0
        """How many jobs it has deleted one by one; days of the history that are dropped as a whole are not counted."""

    def step(self, now: int) -> int:
        """Prune a little, if it is our turn, and return the instant at which to be called again."""
        self._now = now
        if self._pieces is None or now >= self._until:
            self._pieces = self._begin(now)
        if self._pieces is None:
            return min(self._due_at(duty, now) for duty in self._duties)
        began = self._engine.clock.monotonic()
        pieces, self._pieces = self._pieces, None  # after an error the next turn begins anew
        for _ in pieces:
            self._pieces = pieces
            break
        seconds = self._engine.clock.monotonic() - began
        return now + max(_SHORTEST_PAUSE, _PAUSES * round(seconds * SECOND))

    def _begin(self, now: int) -> Pieces | None:
        for duty, (period, begin) in self._duties.items():
            if self._due_at(duty, now) <= now and self._take(duty, now, now + period):
                self._until = now + period
                return begin()
        return None

    def _due_at(self, duty: str, now: int) -> int:
        # No turn lies further away than a period, unless the clock of whoever took it was wrong.
        at = self._engine.read(lambda tx: next_turn(tx, duty))
        return at if at <= now + self._duties[duty][0] else now

    def _take(self, duty: str, now: int, until: int) -> bool:
        return self._engine.write(lambda tx: take_turn(tx, duty, now=now, until=until))

    def _prune_jobs(self) -> Pieces:
        longest = self._retention.longest
        self._engine.write(lambda tx: ensure_history(tx, now=self._now, longest=longest))
        yield
        while self._engine.write(lambda tx: drop_expired_day(tx, now=self._now)) == Dropped.DROPPED:
            yield
        while (block := self._engine.read(self._due_block)) is not None:
            yield from self._prune_block(block)

    def _due_block(self, tx: Tx) -> int | None:
        return due_block(tx, now=self._now, before=self._now - self._slack)

    def _prune_block(self, block: int) -> Pieces:
        looked_at = self._now
        soon = looked_at + self._slack
        look = self._engine.read(lambda tx: look_into_block(tx, block, now=looked_at, later=soon))
        yield
        yield from self._delete(look.expired)
        look_at = look.look_at
        if look_at is not None:
            # Daily at least: a job may be revived, and finish anew with an earlier expiry.
            look_at = max(soon, min(look_at, looked_at + DAY)) if look.is_full else soon
        self._engine.write(lambda tx: note_block(tx, block, look_at))
        yield

    def _delete(self, keys: Sequence[Key]) -> Pieces:
        at = 0
        while at < len(keys):
            chunk = keys[at : at + self._batch]
            at += len(chunk)
            self._engine.write(lambda tx, chunk=chunk: self._delete_chunk(tx, chunk))  # type: ignore[misc]
            yield

    def _delete_chunk(self, tx: Tx, chunk: Sequence[Key]) -> None:
        """Delete, and learn how many may go at once: a job with large arguments takes a hundred times as long."""
        began = self._engine.clock.monotonic()
        self.pruned += delete_expired(tx, chunk, now=self._now)
        seconds = self._engine.clock.monotonic() - began
        if seconds > _PIECE_SECONDS:
            self._batch = max(1, int(self._batch * _PIECE_SECONDS / seconds))
        elif seconds < _PIECE_SECONDS / 2:
            self._batch = min(_MOST_AT_ONCE, self._batch * 2)

    def _prune_leftovers(self) -> Pieces:
        before = self._now - self._retention.shortest
        after: int | None = 0
        while after is not None:
            after = self._engine.write(lambda tx, after=after: prune_logs(tx, before=before, after=after)).after  # type: ignore[misc]
            yield
        for feature in self._features:
            feature.periodic(self._engine.write, self._now)
            yield
        yield from self._sweep_blobs()

    def _sweep_blobs(self) -> Pieces:
        """Delete large values whose job is gone; what cannot be deleted now is found again an hour later."""
        try:
            yield from self._depot.sweep(self._now, lambda ids: self._engine.read(lambda tx: stored_ids(tx, ids)))
        except (BlobError, ConfigError) as error:
            _log.warning("sweeping the blobs of jobs that are gone failed, it is tried again: %s", error)


class PruningThread:
    """The thread in which a worker prunes."""

    def __init__(self, pruner: Pruner, clock: Clock) -> None:
        self.pruner, self._clock = pruner, clock
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="lineshaft-pruner", daemon=True)

    def start(self) -> None:
        """Start to prune."""
        self._thread.start()

    def close(self) -> None:
        """End after the piece that is under way."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_SECONDS)

    def _work(self) -> None:
        seconds = 0.0
        while not self._closed.wait(seconds):
            seconds = self._guarded_step()

    def _guarded_step(self) -> float:
        try:
            wait = (self.pruner.step(self._clock.now()) - self._clock.now()) / SECOND
        except StoreError as error:
            _log.warning("pruning finished jobs failed, it is tried again: %s", error)
            return _TRY_AGAIN_SECONDS
        except Exception:  # noqa: BLE001 - a worker must outlive a defect in pruning
            _log.exception("the pruner met an error and goes on")
            return _TRY_AGAIN_SECONDS
        return min(max(wait, 0.0), MINUTE / SECOND)
