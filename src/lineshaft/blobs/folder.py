"""Blobs in a local folder, or one that several hosts have mounted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from lineshaft.blobs.place import missing
from lineshaft.errors import BlobError


class Folder:
    """A folder; it is made when the first blob is written."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self.address = str(self._path)

    def write(self, key: str, chunks: Iterable[bytes]) -> None:
        """Write, sync and only then give the name, so that a name never stands for half a content."""
        path = self._path / key
        with self._failing("written"):
            _make_folder(path.parent)
            part = path.with_suffix(".part")
            try:
                with part.open("xb") as file:
                    for chunk in chunks:
                        file.write(chunk)
                    file.flush()
                    os.fsync(file.fileno())
                part.rename(path)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
            _sync_folder(path.parent)

    def copy(self, source: str, key: str) -> None:
        """Give a content, which nobody changes any more, a second name; copy it where that cannot be done."""
        path = self._path / key
        with self._failing("written"):
            _make_folder(path.parent)
            try:
                os.link(self._path / source, path)
            except FileNotFoundError:
                raise missing(source, self.address) from None
            except OSError:  # a file system without links, or too many of them
                with self.open(source) as content:
                    self.write(key, iter(lambda: content.read(1 << 20), b""))
            _sync_folder(path.parent)

    def open(self, key: str) -> BinaryIO:
        """Open a content."""
        with self._failing("read"):
            try:
                return (self._path / key).open("rb", buffering=0)
            except FileNotFoundError:
                raise missing(key, self.address) from None

    def delete(self, key: str) -> None:
        """Delete a content, and its job's folder when that is empty now."""
        path = self._path / key
        with self._failing("deleted"):
            path.unlink(missing_ok=True)
            with suppress(OSError):  # it holds another blob, or is gone
                path.parent.rmdir()

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the names in a folder."""
        with self._failing("listed"):
            try:
                with os.scandir(self._path / prefix) as entries:
                    yield from (entry.name for entry in entries)
            except FileNotFoundError:
                return

    def delete_below(self, *prefixes: str) -> None:
        """Delete folders; somebody else may do the same."""
        with self._failing("deleted"):
            for path in (self._path / prefix for prefix in prefixes):
                while path.exists():
                    with suppress(FileNotFoundError):
                        shutil.rmtree(path)

    @contextmanager
    def _failing(self, done: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            msg = f"a blob in {self.address} could not be {done} ({error.strerror}); check its rights and the disk"
            raise BlobError(msg) from error


def _make_folder(path: Path) -> None:
    """Make a folder and those above it durably: a file synced in a folder that a power cut takes away is lost."""
    if path.is_dir():
        return
    _make_folder(path.parent)
    path.mkdir(exist_ok=True)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
