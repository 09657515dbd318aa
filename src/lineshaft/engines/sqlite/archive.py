"""A SQLite file beside the stores: written whole or not at all, read without a lock, never shared while it is made."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from lineshaft.engines.sqlite.transaction import SqliteTx, mapped_errors
from lineshaft.errors import StoreUnavailableError

# Nobody reads the file before it is whole, so it needs neither a journal nor waits for the disk on the way.
_PRAGMAS: Final = ("pragma journal_mode = off", "pragma synchronous = off", "pragma cache_size = -65536")


class ArchiveTx(SqliteTx):
    """A transaction on an archive, which also carries a manifest: one text."""

    def write_manifest(self, text: str) -> None:
        """Store the text."""
        with mapped_errors():
            self.connection.execute("create table lineshaft_backup (manifest text not null)")
            self.connection.execute("insert into lineshaft_backup (manifest) values (?)", (text,))

    def read_manifest(self) -> str | None:
        """Return the text; None when the file carries none. Raises `StoreError` when it is no SQLite file."""
        with mapped_errors():
            if not self.connection.execute("select 1 from sqlite_master where name = 'lineshaft_backup'").fetchone():
                return None
            found = self.connection.execute("select manifest from lineshaft_backup").fetchone()
        return None if found is None else str(found[0])


@contextmanager
def new_archive(path: Path) -> Iterator[ArchiveTx]:
    """Open a transaction on a new file that takes its name, in place of what had it, at the end of the block only."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        with _mapped_os_errors(path):
            draft.unlink(missing_ok=True)
        with _connected(str(draft)) as connection:
            with mapped_errors():
                for pragma in _PRAGMAS:
                    connection.execute(pragma)
                connection.execute("begin")
            yield ArchiveTx(connection)
            with mapped_errors():
                connection.execute("commit")
        with _mapped_os_errors(path):
            _sync(draft)
            draft.replace(path)
            _sync(path.parent)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def opened_archive(path: Path) -> Iterator[ArchiveTx]:
    """Open a file to be read; raises `StoreUnavailableError` when there is none."""
    with _connected(f"file:{quote(str(path))}?mode=ro", uri=True) as connection:
        yield ArchiveTx(connection)


@contextmanager
def amended_archive(path: Path) -> Iterator[ArchiveTx]:
    """Open a transaction on an archive that is changed in place."""
    with _connected(str(path)) as connection:
        with mapped_errors():
            connection.execute("begin")
        yield ArchiveTx(connection)
        with mapped_errors():
            connection.execute("commit")


@contextmanager
def _connected(name: str, *, uri: bool = False) -> Iterator[sqlite3.Connection]:
    with mapped_errors():
        connection = sqlite3.connect(name, isolation_level=None, uri=uri)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def _mapped_os_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror}; check its folder, its permissions and the room on its disk"
        raise StoreUnavailableError(msg) from error


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
