"""Deletes finished jobs that have been kept for long enough, and what belonged to them.

The leader prunes; two at once do no harm. It works in pieces of a few milliseconds with pauses between them, so that
whoever enqueues or finishes never waits for long.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from lineshaft.blobs import Depot
from lineshaft.clock import DAY, HOUR, MINUTE, SECOND
from lineshaft.config import Retention
from lineshaft.engines.base import Engine, Tx
from lineshaft.errors import BlobError, ConfigError
from lineshaft.feature import PRUNE_JOBS, PRUNE_LEFTOVERS, Duty, Feature
from lineshaft.store.enqueue import stored_ids
from lineshaft.store.prune import (
    Dropped,
    Key,
    delete_expired,
    drop_expired_day,
    due_block,
    look_into_block,
    note_block,
    prune_logs,
)
from lineshaft.store.upkeep import ensure_history

_log = logging.getLogger("lineshaft.leader")

# A piece is followed by a pause of four times its length: a fifth of the time at most is spent.
_PAUSES: Final = 4
_SHORTEST_PAUSE: Final = SECOND // 500
_PIECE_SECONDS: Final = 0.004
_FIRST_BATCH: Final = 10
_MOST_AT_ONCE: Final = 100

Pieces = Iterator[None]


class Pruner(Duty):
    """Prunes a store, chore by chore as somebody begins them; `step` does one piece."""

    name = "pruner"

    def __init__(
        self, engine: Engine, retention: Retention, features: Sequence[Feature], depot: Depot | None = None
    ) -> None:
        self._engine, self._retention, self._features = engine, retention, features
        self._depot = depot or Depot()
        self._chores: dict[str, Callable[[], Pieces]] = {
            PRUNE_JOBS.name: self._prune_jobs,
            PRUNE_LEFTOVERS.name: self._prune_leftovers,
        }
        # Blocks are looked into again after this time at the soonest, and jobs go at most about so late.
        self._slack = min(max(retention.shortest // 48, MINUTE), HOUR)
        self._batch = _FIRST_BATCH
        self._waiting: dict[str, None] = {}
        """The chores that were begun and wait, in their order."""
        self._chore: str | None = None
        self._pieces: Pieces = iter(())
        self._now = self._rests_until = 0
        self.pruned = 0
        """How many jobs it has deleted one by one; days of the history that are dropped as a whole are not counted."""

    def begin_chore(self, name: str) -> bool:
        """Have a chore done, after those that were begun before; from any thread. False: it is none of these."""
        if name not in self._chores:
            return False
        self._waiting[name] = None
        self.wake()
        return True

    def begin(self, now: int) -> None:  # noqa: ARG002 - the seam's signature
        """Do what is under way from its start: another leader may have gone on with it meanwhile."""
        self._drop_chore()
        self._rests_until = 0

    def step(self, now: int) -> int:
        """Prune a little, if there is a chore to do, and return the instant at which to be called again."""
        if self._now <= now < self._rests_until:  # somebody woke it
            return self._rests_until
        self._now = now
        if self._chore is None and not self._next_chore():
            return now + DAY
        began = self._engine.clock.monotonic()
        try:
            self._do_piece()
        except BaseException:
            self._drop_chore()
            raise
        seconds = self._engine.clock.monotonic() - began
        self._rests_until = now + max(_SHORTEST_PAUSE, _PAUSES * round(seconds * SECOND))
        return self._rests_until

    @property
    def doing(self) -> str | None:
        """The chore that is under way."""
        chore = self._chore
        return chore and f"runs {chore}"

    @property
    def is_busy(self) -> bool:
        """Whether there is something to do."""
        return self._chore is not None or bool(self._waiting)

    def _next_chore(self) -> bool:
        if not self._waiting:
            return False
        self._chore = list(self._waiting)[0]  # noqa: RUF015 - a copy: others begin chores meanwhile
        del self._waiting[self._chore]
        self._pieces = self._chores[self._chore]()
        return True

    def _do_piece(self) -> None:
        for _ in self._pieces:
            return
        self._chore = None

    def _drop_chore(self) -> None:
        """Put what is under way back among those that wait: it is done anew."""
        chore, self._chore = self._chore, None
        if chore is not None:
            self._waiting[chore] = None

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
