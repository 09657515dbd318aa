"""Blobs wherever `fsspec` reaches: S3, Google Cloud Storage, Azure, SFTP and what else has a driver."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from lineshaft.blobs.place import missing
from lineshaft.errors import BlobError, ConfigError, LineshaftError


class Remote:
    """A folder, or a prefix of a bucket, of a file system of fsspec."""

    def __init__(self, files: Any, path: str, address: str) -> None:
        self._files, self._path = files, path.rstrip("/")
        self.address = address

    def write(self, key: str, chunks: Iterable[bytes]) -> None:
        """Write under a name that nobody knows yet: an object store shows an object when it is whole."""
        with self._failing("written"), self._created(self._at(key)) as file:
            for chunk in chunks:
                file.write(chunk)

    def copy(self, source: str, key: str) -> None:
        """Have the file system copy a content by itself."""
        with self._failing("written"):
            try:
                self._make_folder(self._at(key))
                self._files.cp_file(self._at(source), self._at(key))
            except FileNotFoundError:
                raise missing(source, self.address) from None

    def open(self, key: str) -> BinaryIO:
        """Open a content."""
        with self._failing("read"):
            try:
                return cast(BinaryIO, self._files.open(self._at(key), "rb"))
            except FileNotFoundError:
                raise missing(key, self.address) from None

    def delete(self, key: str) -> None:
        """Delete a content."""
        self._delete(self._at(key))

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the names below a prefix."""
        with self._failing("listed"):
            try:
                found: list[str] = self._files.ls(self._at(prefix), detail=False)
            except FileNotFoundError:
                return
        yield from (path.rstrip("/").rpartition("/")[2] for path in found)

    def delete_below(self, *prefixes: str) -> None:
        """Delete everything below prefixes, in one go where the service can."""
        self._delete(*map(self._at, prefixes))

    def _delete(self, *paths: str) -> None:
        with self._failing("deleted"):
            try:
                self._files.rm(list(paths), recursive=True)
            except FileNotFoundError:  # one was deleted before, by us or by somebody else
                for path in paths if len(paths) > 1 else ():
                    self._delete(path)

    def _at(self, key: str) -> str:
        return f"{self._path}/{key}"

    def _created(self, path: str) -> Any:
        try:
            return self._files.open(path, "wb")
        except FileNotFoundError:  # a file system with real folders
            self._make_folder(path)
            return self._files.open(path, "wb")

    def _make_folder(self, path: str) -> None:
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)

    @contextmanager
    def _failing(self, done: str) -> Iterator[None]:
        try:
            yield
        except LineshaftError:
            raise
        except Exception as error:  # a driver raises what its service's library raises
            said = f"{type(error).__qualname__}: {' '.join(str(error).split())}"
            msg = f"a blob in {self.address} could not be {done} ({said}); check its address, rights and service"
            raise BlobError(msg) from error


def open_remote(address: str) -> Remote:
    """Return the place of an address of fsspec; raises `ConfigError` when fsspec or the driver is not installed."""
    try:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]
    except ImportError as error:
        msg = f"blobs={address!r} needs fsspec; install it with: pip install 'lineshaft[blobs]'"
        raise ConfigError(msg) from error
    try:
        # Without the cache of listings: another process may have written a key since this one has looked.
        files, path = url_to_fs(address, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        protocol = address.partition(":")[0]
        msg = f"blobs={address!r} needs a driver ({error}); install it, as with: pip install 'fsspec[{protocol}]'"
        raise ConfigError(msg) from error
    return Remote(files, path, address)
