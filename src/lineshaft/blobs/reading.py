"""Streams that blobs are read through."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final

from lineshaft.errors import BlobDamagedError, BlobError

_CHUNK: Final = 1 << 20


class ChunkReader(io.RawIOBase):
    """An iterator of bytes as a stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, b""

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as the next bytes go; 0 at the end."""
        view = memoryview(buffer)
        while not self._rest:
            following = next(self._chunks, None)
            if following is None:
                return 0
            self._rest = following
        count = min(len(view), len(self._rest))
        view[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


class VerifiedReader(io.RawIOBase):
    """A stored blob as a stream that never ends well when a byte is wrong or missing.

    Read from the beginning it is checked on the way. Before the first jump to another place all of it is read once to
    be checked, since nobody could tell afterwards.
    """

    def __init__(self, open_it: Callable[[], BinaryIO], size: int, sha256: str, key: str) -> None:
        self._open_it, self._size, self._sha256, self._key = open_it, size, sha256, key
        self._raw = open_it()
        self._hash = hashlib.sha256()
        self._at = 0
        self._is_verified = False

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can jump."""
        return True

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; raises `BlobDamagedError` at the end of what is not what was written."""
        view = memoryview(buffer)
        data = self._read(len(view))
        view[: len(data)] = data
        self._at += len(data)
        if not self._is_verified and view:
            self._hash.update(data)
            if not data or self._at > self._size:
                self._check(self._hash.hexdigest(), self._at)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Jump; raises `BlobDamagedError` when the content is not what was written."""
        target = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence] + offset
        if target != self._at:
            self._verify()
            self._at = self._raw.seek(target)
        return self._at

    def close(self) -> None:
        """Close what is read."""
        if not self.closed:
            self._raw.close()
        super().close()

    def _read(self, count: int) -> bytes:
        try:
            return self._raw.read(count)
        except Exception as error:  # a driver raises what its service's library raises
            said = f"{type(error).__qualname__}: {' '.join(str(error).split())}"
            msg = f"reading the blob {self._key} broke off at byte {self._at:,} ({said}); read it again"
            raise BlobError(msg) from error

    def _verify(self) -> None:
        if self._is_verified:
            return
        found, count = hashlib.sha256(), 0
        with self._open_it() as whole:
            while chunk := whole.read(_CHUNK):
                found.update(chunk)
                count += len(chunk)
        self._check(found.hexdigest(), count)

    def _check(self, found: str, count: int) -> None:
        if count != self._size or found != self._sha256:
            msg = (
                f"the blob {self._key} is damaged: it has {count:,} of {self._size:,} bytes, and another SHA-256 than "
                "was written; bring it back from a copy, or enqueue the job anew"
            )
            raise BlobDamagedError(msg)
        self._is_verified = True
