"""`Blob`: a value that is too large for a payload."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, Self, TypeVar

import anyio.to_thread

from lineshaft.blobs.content import BytesContent, Content, FileContent, StreamContent

B = TypeVar("B", bound="Blob")


class Source:
    """Where the bytes of a blob are, and what stands for it in the payload of a job that is not stored yet."""

    def __init__(self, content: Content) -> None:
        self.content = content

    @cached_property
    def token(self) -> str:
        """A text that nothing else is called by."""
        return token_hex(16)

    def now_stored(self, content: Content) -> None:
        """Be read from where it is stored from now on, where it cannot be read again: a stream."""
        if isinstance(self.content, StreamContent):
            self.content = content


class Blob:
    """Bytes, a file or a stream of any size, as an argument or a result of a task.

    `Blob(data)` takes bytes. The job holds a small reference; the content is written beside the store, piece by piece,
    before the job is stored, and goes when the job goes. It is checked by SHA-256 whenever it is read.

    Reading raises `BlobMissingError` when the content is gone, `BlobDamagedError` when it is not what was written, and
    `BlobError` when its place fails.
    """

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        if not isinstance(data, bytes | bytearray | memoryview):
            msg = f"Blob() takes bytes, got {type(data).__qualname__}; use Blob.from_file or Blob.from_stream"
            raise TypeError(msg)
        self._source = Source(BytesContent(bytes(data)))

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """Return a blob of a file, which is read when the job is stored; `BlobError` is raised then if it cannot be."""
        return _made(cls, FileContent(Path(path)))

    @classmethod
    def from_stream(cls, stream: BinaryIO | Iterable[bytes]) -> Self:
        """Return a blob of a binary stream or of an iterable of bytes, which is read once, when the job is stored."""
        return _made(cls, StreamContent(stream))

    def __repr__(self) -> str:
        """Show what it is."""
        return f"<Blob: {self._source.content!r}>"

    @property
    def size(self) -> int:
        """How many bytes; raises `BlobError` for a stream that was not stored yet."""
        return self._source.content.size

    @property
    def sha256(self) -> str:
        """The SHA-256 of its bytes in hexadecimal digits; raises as `size`. That of a file is found by reading it."""
        return self._source.content.sha256

    def open(self) -> BinaryIO:
        """Open it as a binary stream; close it, or use `with`.

        The stream of a stored blob can seek; before it first does, all of it is read once to be checked.
        """
        return self._source.content.open()

    def read(self) -> bytes:
        """Return all of it, in memory."""
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """Yield it piece by piece, 1 MiB or less at a time."""
        return self._source.content.chunks()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file; a file of that name is replaced when all of it is there and was checked."""
        target = Path(path)
        part = target.with_name(f"{target.name}.{token_hex(4)}.part")
        try:
            with part.open("xb") as file:
                for chunk in self.chunks():
                    file.write(chunk)
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    async def aopen(self) -> BinaryIO:
        """As `open`; the stream's own calls block."""
        return await anyio.to_thread.run_sync(self.open)

    async def aread(self) -> bytes:
        """As `read`."""
        return await anyio.to_thread.run_sync(self.read)

    async def achunks(self) -> AsyncIterator[bytes]:
        """As `chunks`, for `async for`."""
        chunks = self.chunks()
        while (chunk := await anyio.to_thread.run_sync(next, chunks, None)) is not None:
            yield chunk

    async def asave(self, path: str | os.PathLike[str]) -> None:
        """As `save`."""
        await anyio.to_thread.run_sync(self.save, path)


def stored_blob(content: Content) -> Blob:
    """Return a blob that a job holds."""
    return _made(Blob, content)


def source_of(blob: Blob) -> Source:
    """Return what is inside of a blob."""
    return blob._source  # noqa: SLF001 - for this package


def _made(kind: type[B], content: Content) -> B:
    blob = kind.__new__(kind)
    blob._source = Source(content)  # noqa: SLF001 - its own kind
    return blob
