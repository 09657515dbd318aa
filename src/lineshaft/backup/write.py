"""Making a backup: one snapshot of a store, table by table, into one file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from lineshaft.backup.manifest import FORMAT, Contents, Manifest
from lineshaft.engines.base import Engine, Tx
from lineshaft.engines.sqlite.archive import ArchiveTx, new_archive
from lineshaft.errors import ConfigError
from lineshaft.store.copy import TABLES, Digest, Table, load_rows, take_rows
from lineshaft.store.epoch import last_worker
from lineshaft.store.migrate import newest, refuse_other, upgrade
from lineshaft.store.watcher import Watcher, watched


def back_up(engine: Engine, path: Path, watcher: Watcher) -> Manifest:
    """Write what a store holds at this moment into a file, in place of what is there, and return its manifest.

    Workers and clients go on meanwhile. The file appears when it is whole. Raises `SchemaError` when the store has
    another schema than this code, `StoreUnavailableError` when the file cannot be written.
    """
    refuse_memory(engine)
    refuse_other(engine)

    def write(tx: Tx) -> Manifest:
        with new_archive(path) as archive:
            manifest = _fill(archive, tx, engine, watcher)
            archive.write_manifest(msgspec.json.encode(manifest).decode())
        return manifest

    return engine.read(write)


def refuse_memory(engine: Engine) -> None:
    """Raise `ConfigError` for a store that ends with its process."""
    if engine.is_ephemeral:
        msg = f"{engine.address} ends with its process and has no backups; name a file or a database with --store"
        raise ConfigError(msg)


def _fill(archive: ArchiveTx, tx: Tx, engine: Engine, watcher: Watcher) -> Manifest:
    now = engine.clock.now()
    upgrade(archive, now)
    return Manifest(
        format=FORMAT,
        made_at=now,
        store=engine.address,
        schema=newest("sqlite"),
        last_worker=last_worker(tx),
        tables={table.name: _copy(archive, tx, table, watcher) for table in TABLES},
    )


def _copy(archive: ArchiveTx, tx: Tx, table: Table, watcher: Watcher) -> Contents:
    watcher.step(table.title, 0)
    digest = Digest()
    load_rows(archive, table, watched(digest.over(take_rows(tx, table)), watcher))
    return Contents(digest.count, digest.text)
