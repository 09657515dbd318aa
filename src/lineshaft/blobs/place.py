"""Where blobs are kept: what a place can do, and which one an address names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from lineshaft.errors import BlobMissingError


class Place(Protocol):
    """Keeps contents under keys; each key is written once. Everything raises `BlobError` when the place fails."""

    @property
    def address(self) -> str:
        """Where it is, for messages."""
        ...

    def write(self, key: str, chunks: Iterable[bytes]) -> None:
        """Store a content; it is whole and durable under its key when this returns."""
        ...

    def copy(self, source: str, key: str) -> None:
        """Store what lies under one key under another one too; raises `BlobMissingError`."""
        ...

    def open(self, key: str) -> BinaryIO:
        """Open a content to be read; raises `BlobMissingError`."""
        ...

    def delete(self, key: str) -> None:
        """Delete a content; one that is gone already is fine."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the names right below the first parts of a key; none where there is nothing."""
        ...

    def delete_below(self, *prefixes: str) -> None:
        """Delete everything below the first parts of keys."""
        ...


def open_place(address: str) -> Place:
    """Return the place of an address: a folder's path, or what `fsspec` knows; raises `ConfigError`."""
    if "://" not in address:
        from lineshaft.blobs.folder import Folder

        return Folder(Path(address))
    from lineshaft.blobs.remote import open_remote

    return open_remote(address)


def missing(key: str, address: str) -> BlobMissingError:
    """Return the error for a content that is not there."""
    return BlobMissingError(
        f"the blob {key} is not in {address}: its job was pruned or deleted, or this process looks in another place "
        "than the one it was written to; compare the setting blobs="
    )
