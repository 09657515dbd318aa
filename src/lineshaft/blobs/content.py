"""Where the bytes of a blob come from: memory, a file, a stream that is read once, or a place where they are stored."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, Protocol, cast

from lineshaft.blobs.place import Place
from lineshaft.blobs.reading import ChunkReader, VerifiedReader
from lineshaft.errors import BlobError

CHUNK: Final = 1 << 20
"""How many bytes are in memory at a time."""

Stream = BinaryIO | Iterable[bytes]


class Content(Protocol):
    """The bytes of one blob."""

    @property
    def size(self) -> int:
        """How many bytes."""
        ...

    @property
    def sha256(self) -> str:
        """Their SHA-256 in hexadecimal digits."""
        ...

    def open(self) -> BinaryIO:
        """Open them to be read."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """Yield them in order."""
        ...


class BytesContent:
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __repr__(self) -> str:
        """Show how many."""
        return f"{len(self._data):,} bytes"

    @property
    def size(self) -> int:
        """How many bytes."""
        return len(self._data)

    @property
    def sha256(self) -> str:
        """Their hash."""
        return hashlib.sha256(self._data).hexdigest()

    def open(self) -> BinaryIO:
        """Open them to be read."""
        return io.BytesIO(self._data)

    def chunks(self) -> Iterator[bytes]:
        """Yield them in order."""
        view = memoryview(self._data)
        return (bytes(view[start : start + CHUNK]) for start in range(0, len(view), CHUNK))


class FileContent:
    """A file of the caller's, read when the job is stored."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __repr__(self) -> str:
        """Show the path."""
        return str(self._path)

    @property
    def size(self) -> int:
        """How many bytes."""
        with self.open() as file:
            return os.fstat(file.fileno()).st_size

    @property
    def sha256(self) -> str:
        """Their hash; reads the file."""
        found = hashlib.sha256()
        for chunk in self.chunks():
            found.update(chunk)
        return found.hexdigest()

    def open(self) -> BinaryIO:
        """Open it to be read; raises `BlobError` when it cannot be."""
        try:
            return self._path.open("rb")
        except OSError as error:
            msg = f"the file {self._path} of a blob cannot be read ({error.strerror}); check the path"
            raise BlobError(msg) from error

    def chunks(self) -> Iterator[bytes]:
        """Yield its bytes in order."""
        with self.open() as file:
            yield from iter(partial(file.read, CHUNK), b"")


class StreamContent:
    """A stream of the caller's, which can be read once."""

    def __init__(self, stream: Stream) -> None:
        self._stream: Stream | None = stream

    def __repr__(self) -> str:
        """Say what it is."""
        return "a stream that was read" if self._stream is None else "a stream"

    @property
    def size(self) -> int:
        """Not known yet."""
        raise _unknown("size")

    @property
    def sha256(self) -> str:
        """Not known yet."""
        raise _unknown("hash")

    def open(self) -> BinaryIO:
        """Open it to be read, once."""
        return cast(BinaryIO, io.BufferedReader(ChunkReader(self.chunks()), CHUNK))

    def chunks(self) -> Iterator[bytes]:
        """Yield its bytes in order, once; raises `BlobError` the second time, and for a stream of text."""
        stream, self._stream = self._stream, None
        if stream is None:
            msg = "the stream of a blob was read already, and can be read once; make a new Blob, or use Blob.from_file"
            raise BlobError(msg)
        read = getattr(stream, "read", None)
        for chunk in stream if read is None else iter(partial(read, CHUNK), b""):
            if not isinstance(chunk, bytes | bytearray | memoryview):
                msg = f"the stream of a blob gave {type(chunk).__qualname__}, not bytes; open the file in binary mode"
                raise BlobError(msg)
            yield bytes(chunk)


class StoredContent:
    """Bytes that a job owns, in a place: `find_place` is asked for it when they are read."""

    def __init__(self, find_place: Callable[[], Place], key: str, size: int, sha256: str) -> None:
        self._find_place, self.key = find_place, key
        self._size, self._sha256 = size, sha256

    def __repr__(self) -> str:
        """Show how many, and their key."""
        return f"{self._size:,} bytes, {self.key}"

    @property
    def place(self) -> Place:
        """Where they are; raises `ConfigError` when this process does not know, or lacks a driver."""
        return self._find_place()

    @property
    def size(self) -> int:
        """How many bytes."""
        return self._size

    @property
    def sha256(self) -> str:
        """Their hash."""
        return self._sha256

    def open(self) -> BinaryIO:
        """Open them to be read, and checked meanwhile."""
        raw = VerifiedReader(lambda: self.place.open(self.key), self._size, self._sha256, self.key)
        return cast(BinaryIO, io.BufferedReader(raw, CHUNK))

    def chunks(self) -> Iterator[bytes]:
        """Yield them in order."""
        with self.open() as stream:
            yield from iter(partial(stream.read, CHUNK), b"")


def _unknown(what: str) -> BlobError:
    return BlobError(f"the {what} of a blob from a stream is not known before a job that takes it is stored")
