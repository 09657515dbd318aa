"""Putting a backup back: all of it in one transaction, under running workers, as a new epoch."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from lineshaft.backup.manifest import Contents, Manifest, manifest_of, opened_backup
from lineshaft.backup.write import refuse_memory
from lineshaft.engines.base import CopyTx, Engine, Row, Tx
from lineshaft.engines.sqlite.archive import ArchiveTx, amended_archive
from lineshaft.errors import StoreError
from lineshaft.store.control import pause_queue
from lineshaft.store.copy import QUEUE, QUEUES, TABLES, UNFINISHED, WORKER, Digest, Table, load_rows, take_rows
from lineshaft.store.epoch import LEAP, begin_epoch, empty_store, fence, last_worker, lock_store
from lineshaft.store.inspect import list_workers
from lineshaft.store.migrate import migrate, upgrade
from lineshaft.store.upkeep import ensure_history
from lineshaft.store.watcher import Watcher, watched

_NOTHING = Contents(0, Digest().text)
"""What a backup says of a table that was not there yet when it was made."""


class Restored(NamedTuple):
    """What a restore did."""

    manifest: Manifest
    paused: list[str]
    """Queues that it paused; those that were paused in the backup are not among them."""
    interrupted: list[str]
    """Ids of the jobs that were running when the backup was made; they wait again."""


def restore(engine: Engine, path: Path, *, resumes: bool, watcher: Watcher) -> Restored:
    """Replace all that a store holds by a backup, or change nothing; a missing schema is made first.

    Every queue is paused unless `resumes`: what waits in the backup may have run since. Workers that run stop their
    jobs and start anew. Raises `StoreError` when the file is damaged or no backup, `SchemaError` when it is too new.
    """
    refuse_memory(engine)
    with _readable(path) as (archive, manifest):
        migrate(engine)
        restored = engine.write(lambda tx: _Restore(path, archive, manifest, watcher).into(tx, engine, resumes=resumes))
    engine.vacuum()
    return restored


@contextmanager
def _readable(path: Path) -> Iterator[tuple[ArchiveTx, Manifest]]:
    with opened_backup(path) as archive:
        manifest = manifest_of(archive, path)
        if manifest.is_current:
            yield archive, manifest
            return
    with tempfile.TemporaryDirectory(prefix="lineshaft-") as folder:
        copied = Path(shutil.copy(path, folder))
        with amended_archive(copied) as old:
            upgrade(old, manifest.made_at)
        with opened_backup(copied) as archive:
            yield archive, manifest


class _Restore:
    """One try: a conflict begins another one."""

    def __init__(self, path: Path, archive: ArchiveTx, manifest: Manifest, watcher: Watcher) -> None:
        self._path, self._archive, self._manifest, self._watcher = path, archive, manifest, watcher
        self._queues: set[str] = set()
        self._paused_before: set[str] = set()
        self._interrupted: list[str] = []

    def into(self, tx: Tx, engine: Engine, *, resumes: bool) -> Restored:
        """Do all of it in a write transaction."""
        lock_store(tx)
        now = engine.clock.now()
        first_worker = max(last_worker(tx), self._manifest.last_worker) + LEAP + secrets.randbelow(LEAP)
        self._note_served(tx)
        empty_store(tx)
        ensure_history(tx, now=now)
        for table in TABLES:
            self._load(tx, table)  # type: ignore[arg-type]  # an engine's own transactions take in tables
        begin_epoch(tx, first_worker=first_worker, now=now)
        paused = [] if resumes else sorted(self._queues - self._paused_before)
        for queue in paused:
            pause_queue(tx, queue, now=now, reason="restored from a backup")
        return Restored(self._manifest, paused, self._interrupted)

    def _note_served(self, tx: Tx) -> None:
        for worker in list_workers(tx):
            self._queues.update(msgspec.json.decode(worker.queues))

    def _load(self, tx: CopyTx, table: Table) -> None:
        said = self._manifest.tables.get(table.name, _NOTHING)
        self._watcher.step(table.title, said.count)
        digest = Digest()
        rows = digest.over(self._taken(table))
        load_rows(tx, table, watched(self._changed(table, rows), self._watcher))
        self._check(table, said, digest)

    def _taken(self, table: Table) -> Iterator[Row]:
        try:
            yield from take_rows(self._archive, table)
        except StoreError as error:
            msg = f"the backup {self._path} is damaged: {error}; nothing was changed, take another one"
            raise StoreError(msg) from error

    def _changed(self, table: Table, rows: Iterable[Row]) -> Iterable[Row]:
        if table is UNFINISHED:
            return map(self._fence, rows)
        return map(self._note_queue, rows) if table is QUEUES else rows

    def _fence(self, row: Row) -> Row:
        self._queues.add(row[QUEUE])
        if row[WORKER] is not None:
            self._interrupted.append(row[0])
        return fence(row)

    def _note_queue(self, row: Row) -> Row:
        name, paused_at, *_ = row
        self._queues.add(name)
        if paused_at is not None:
            self._paused_before.add(name)
        return row

    def _check(self, table: Table, said: Contents, found: Digest) -> None:
        # An older backup's rows have other columns by now than those that its digest was made of.
        is_same = found.text == said.digest or not self._manifest.is_current
        if found.count != said.count or not is_same:
            msg = (
                f"the backup {self._path} is damaged: its {table.title} are not those that were written "
                f"({found.count:,} of {said.count:,}); nothing was changed, take another one"
            )
            raise StoreError(msg)
