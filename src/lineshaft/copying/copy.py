"""Copying chunk by chunk, each in one transaction with how far it goes; then comparing; then opening."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, cast

import msgspec

from lineshaft import transitions
from lineshaft.copying.closing import close_both
from lineshaft.copying.record import Part, Record, closure_of, encode, get_record
from lineshaft.engines.base import CopyTx, Engine, Row, Tx
from lineshaft.errors import StoreError
from lineshaft.store.closure import bar, open_store, unbar
from lineshaft.store.copy import FINISHED, TABLES, UNFINISHED, Cursor, Digest, Table, load_rows, take_pages, take_rows
from lineshaft.store.epoch import lock_store
from lineshaft.store.inspect import Filter, count_jobs
from lineshaft.store.watcher import Watcher, watched

CHUNK: Final = 10_000
"""Rows a transaction: what a kill has the next run do again."""


_STATES: Final = {FINISHED.name: tuple(transitions.FINAL), UNFINISHED.name: tuple(transitions.UNFINISHED)}


class Copied(NamedTuple):
    """What a copy brought over; the same for both stores."""

    source: str
    target: str
    closed_at: int
    """When the source was closed, in microseconds since the epoch."""
    interrupted: list[str]
    """Ids of the jobs that dead workers held then; they wait again."""
    tables: dict[str, Part]


def copy_store(source: Engine, target: Engine, watcher: Watcher, *, chunk: int = CHUNK) -> Copied:
    """Move all that a store holds into an empty one, whichever engines they are on, and return what that was.

    The source is closed at first and stays so; the target opens, as a new epoch, once both are found equal. A copy that
    was broken off goes on where it stopped when it is begun again. Raises `StoreError` when a store is not fit or they
    differ, `ConfigError` when they are the same or in memory, `SchemaError` when one has not this code's schema.
    """
    record = close_both(source, target)
    copying = _Copying(source, target, watcher, chunk)
    if not copying.record().is_done:
        for table in TABLES:
            copying.copy(table)
        for table in TABLES:
            copying.compare(table)
        target.write(lambda tx: _open_target(tx, target))
        target.vacuum()
    source.write(_note_done)
    return Copied(record.source, record.target, record.closed_at, record.interrupted, copying.record().parts)


class _Copying:
    """One run; all that it knows stands in the target."""

    def __init__(self, source: Engine, target: Engine, watcher: Watcher, chunk: int) -> None:
        self._source, self._target, self._watcher, self._limit = source, target, watcher, chunk

    def record(self) -> Record:
        """Return how far the copy is."""
        return self._target.read(_record)

    def copy(self, table: Table) -> None:
        """Bring over what is missing of a table."""
        part = self.record().parts.get(table.name, Part())
        if part.is_whole:
            return
        self._watcher.step(table.title, self._source.read(lambda tx: _total(tx, table)))
        while not part.is_whole:
            self._watcher.reached(part.count)
            part = self._target.write(lambda tx: self._copy_chunk(tx, table))
        self._watcher.reached(part.count)

    def _copy_chunk(self, tx: Tx, table: Table) -> Part:
        lock_store(tx)
        record = _record(tx)
        part = record.parts.get(table.name, Part())
        if part.is_whole or record.is_done:  # another process was as quick
            return msgspec.structs.replace(part, is_whole=True)
        unbar(tx)
        with self._source.reading() as source_tx:
            chunk = _Chunk(source_tx, table, part, self._limit)
            load_rows(cast(CopyTx, tx), table, watched(chunk.rows(), self._watcher, part.count))
        bar(tx, closure_of(msgspec.structs.replace(record, parts=record.parts | {table.name: chunk.part})))
        return chunk.part

    def compare(self, table: Table) -> None:
        """Read a table of the target as a whole and raise `StoreError` when it is not what was read from the source."""
        part = self.record().parts[table.name]
        self._watcher.step(f"comparing {table.title}", part.count)
        digest = Digest()
        self._target.read(lambda tx: _drain(watched(digest.over(take_rows(tx, table)), self._watcher)))
        self._watcher.reached(part.count)
        if (digest.count, digest.text) != (part.count, part.digest):
            msg = (
                f"{self._target.address} differs from {self._source.address} in its {table.title}, "
                f"{digest.count:,} of {part.count:,}; it stays closed: delete it and copy into an empty store"
            )
            raise StoreError(msg)


class _Chunk:
    """Some rows of a table, from behind those that are copied on."""

    def __init__(self, tx: Tx, table: Table, part: Part, limit: int) -> None:
        self._tx, self._table, self._limit = tx, table, limit
        self.part = part

    def rows(self) -> Iterator[Row]:
        """Yield them as they are read, and note how far they go."""
        digest = Digest(self.part.count, self.part.digest)
        until = self.part.count + self._limit
        end: Cursor = self.part.end
        for page in take_pages(self._tx, self._table, end):
            yield from digest.over(page.rows)
            end = page.end
            if digest.count >= until:
                self.part = _part(digest, end, is_whole=False)
                return
        self.part = _part(digest, end, is_whole=True)


def _part(digest: Digest, end: Cursor, *, is_whole: bool) -> Part:
    return Part(digest.count, digest.text, list(end) if end else None, is_whole)


def _drain(rows: Iterator[Row]) -> None:
    for _ in rows:
        pass


def _total(tx: Tx, table: Table) -> int:
    """Return how many rows a table has; 0, which is not known, for those that are short."""
    return count_jobs(tx, Filter(states=_STATES[table.name])) if table.name in _STATES else 0


def _record(tx: Tx) -> Record:
    found = get_record(tx)
    assert found is not None, "both stores were closed"
    return found


def _open_target(tx: Tx, target: Engine) -> None:
    record = _record(tx)
    if not record.is_done:  # another process was as quick
        done = msgspec.structs.replace(record, is_done=True)
        open_store(tx, target, encode(done), above=record.last_worker)


def _note_done(tx: Tx) -> None:
    record = _record(tx)
    if not record.is_done:
        bar(tx, closure_of(msgspec.structs.replace(record, is_done=True)))
