"""What a backup says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from lineshaft.engines.sqlite.archive import ArchiveTx, opened_archive
from lineshaft.errors import SchemaError, StoreError, StoreUnavailableError
from lineshaft.store.migrate import newest

FORMAT: Final = 1


class Contents(msgspec.Struct, frozen=True):
    """A table: how many rows, and their `store.copy.Digest`."""

    count: int
    digest: str


class Manifest(msgspec.Struct, frozen=True):
    """Where a backup comes from and what has to be in it; `made_at` is in microseconds since the epoch."""

    format: int
    made_at: int
    store: str
    schema: int
    last_worker: int
    """The greatest number that a worker had been given there."""
    tables: dict[str, Contents]

    @property
    def is_current(self) -> bool:
        """Whether it was made with the schema that this code has."""
        return self.schema == newest("sqlite")

    def check_known(self, path: Path) -> None:
        """Raise `SchemaError` when a newer version of Lineshaft made the backup."""
        if self.format > FORMAT or self.schema > newest("sqlite"):
            msg = (
                f"the backup {path} was made by a newer Lineshaft (schema {self.schema}, this one knows up to "
                f"{newest('sqlite')}); upgrade Lineshaft here"
            )
            raise SchemaError(msg)


def read_manifest(path: Path) -> Manifest:
    """Return the manifest of a backup that this code can read; raises `StoreError` when the file is none."""
    with opened_backup(path) as archive:
        return manifest_of(archive, path)


@contextmanager
def opened_backup(path: Path) -> Iterator[ArchiveTx]:
    """Open a backup to be read; raises `StoreUnavailableError` when there is no such file."""
    if not path.is_file():
        msg = f"there is no backup {path}; check the path"
        raise StoreUnavailableError(msg)
    with opened_archive(path) as archive:
        yield archive


def manifest_of(archive: ArchiveTx, path: Path) -> Manifest:
    """Return the manifest of an open backup; raises as `read_manifest`."""
    try:
        text = archive.read_manifest()
    except StoreError as error:
        msg = f"{path} is not a backup that can be read: {error}; name a file that 'lineshaft backup' wrote"
        raise StoreError(msg) from error
    if text is None:
        msg = f"{path} is not a backup; name a file that 'lineshaft backup' wrote"
        raise StoreError(msg)
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.DecodeError as error:
        msg = f"the backup {path} is damaged: its manifest cannot be read ({error}); take another one"
        raise StoreError(msg) from error
    manifest.check_known(path)
    return manifest
