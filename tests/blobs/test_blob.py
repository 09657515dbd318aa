"""What a blob is before it is stored, and how a stored one is read."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import zipfile
from typing import TYPE_CHECKING

import pytest

from lineshaft import Blob, BlobDamagedError, BlobError, BlobMissingError
from lineshaft.blobs import Depot
from lineshaft.blobs.blob import source_of
from lineshaft.blobs.content import CHUNK, StoredContent
from lineshaft.blobs.folder import Folder
from lineshaft.ids import new_id
from tests.plugins.engines import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = bytes(range(256)) * 5000


def stored(folder: Path, blob: Blob) -> Blob:
    """Return a blob as a job has it, read from where it was written."""
    depot = Depot(str(folder))
    reference = depot.writer(NOW).settle('{"$blob":"' + source_of(blob).token + '"}', [blob], new_id())
    return depot.load(json.loads(reference))


def file_of(folder: Path) -> Path:
    """Return the only file of a folder."""
    [found] = [path for path in folder.rglob("*") if path.is_file()]
    return found


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of the caller's."""
    path = tmp_path / "source.bin"
    path.write_bytes(DATA)
    return path


def test_bytes_files_and_streams_are_the_same_once_stored(tmp_path: Path, source: Path) -> None:
    """Whatever a blob is made of, it comes back with the same bytes, size and hash."""
    halves = iter([DATA[:1000], b"", memoryview(DATA)[1000:]])
    made = [Blob(bytearray(DATA)), Blob.from_file(source), Blob.from_stream(io.BytesIO(DATA)), Blob.from_stream(halves)]  # type: ignore[arg-type]
    for number, blob in enumerate(made):
        found = stored(tmp_path / str(number), blob)
        assert found.read() == DATA
        assert (found.size, found.sha256) == (len(DATA), hashlib.sha256(DATA).hexdigest())


def test_blob_is_read_as_it_is_before_it_is_stored(source: Path) -> None:
    """A task called as a plain function reads what its caller gave."""
    for blob in (Blob(DATA), Blob.from_file(source)):
        assert (blob.size, blob.sha256) == (len(DATA), hashlib.sha256(DATA).hexdigest())
        with blob.open() as stream:
            assert stream.read(3) == DATA[:3]
        assert blob.read() == DATA
    with Blob.from_stream(iter([DATA[:9], DATA[9:]])).open() as stream:
        assert stream.read() == DATA


def test_stream_is_read_once_and_has_no_size_before(tmp_path: Path) -> None:
    """A stream says that it is not known yet, then is what was stored; one that was read away says so."""
    blob = Blob.from_stream(iter([DATA]))
    with pytest.raises(BlobError, match="size of a blob from a stream is not known"):
        _ = blob.size
    assert stored(tmp_path, blob).read() == DATA
    assert blob.size == len(DATA)
    assert blob.read() == DATA
    gone = Blob.from_stream(iter([DATA]))
    gone.read()
    with pytest.raises(BlobError, match="was read already"):
        gone.read()


def test_what_is_no_bytes_is_refused(tmp_path: Path) -> None:
    """Text is refused where it is given, or where the stream gives it; a missing file when it is read."""
    with pytest.raises(TypeError, match="takes bytes, got str"):
        Blob("text")  # type: ignore[arg-type]
    with pytest.raises(BlobError, match="gave str, not bytes"):
        Blob.from_stream(io.StringIO("text")).read()  # type: ignore[arg-type]
    with pytest.raises(BlobError, match="nowhere of a blob cannot be read"):
        Blob.from_file(tmp_path / "nowhere").read()


def test_empty_blob(tmp_path: Path) -> None:
    """No bytes are a content like any other."""
    assert stored(tmp_path, Blob(b"")).read() == b""


def test_stored_blob_is_streamed_saved_and_awaited(tmp_path: Path) -> None:
    """Chunks are small, `save` replaces a file at once, and each call that blocks has a twin."""
    blob = stored(tmp_path / "blobs", Blob(DATA))
    assert max(map(len, blob.chunks())) <= CHUNK
    target = tmp_path / "target"
    target.write_text("before")
    blob.save(target)
    assert target.read_bytes() == DATA

    async def awaited() -> None:
        assert await blob.aread() == DATA
        assert b"".join([chunk async for chunk in blob.achunks()]) == DATA
        await blob.asave(tmp_path / "other")
        with await blob.aopen() as stream:
            assert stream.read(2) == DATA[:2]

    asyncio.run(awaited())
    assert (tmp_path / "other").read_bytes() == DATA


def test_readers_that_jump_are_served(tmp_path: Path) -> None:
    """Libraries that seek, such as zipfile, read a stored blob in place."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("a.txt", "first")
        writer.writestr("b.txt", DATA)
    with stored(tmp_path, Blob(archive.getvalue())).open() as stream, zipfile.ZipFile(stream) as reader:
        assert reader.read("b.txt") == DATA


@pytest.mark.parametrize("damage", ["flipped", "cut", "longer"])
def test_damage_is_noticed_however_it_is_read(tmp_path: Path, damage: str) -> None:
    """A blob that is not what was written ends in one clear error, read through, saved or after a jump."""
    blob = stored(tmp_path / "blobs", Blob(DATA))
    path = file_of(tmp_path / "blobs")
    path.write_bytes({"flipped": DATA[:-1] + b"?", "cut": DATA[:-1], "longer": DATA + b"?"}[damage])
    with pytest.raises(BlobDamagedError, match="is damaged"):
        blob.read()
    with pytest.raises(BlobDamagedError):
        blob.save(tmp_path / "target")
    with blob.open() as stream, pytest.raises(BlobDamagedError):
        stream.seek(5 * CHUNK)
    assert [one.name for one in tmp_path.iterdir()] == ["blobs"]


def test_missing_blob_says_where_it_was_looked_for(tmp_path: Path) -> None:
    """What was pruned, or lies elsewhere, is one error that names the key and the place."""
    blob = stored(tmp_path, Blob(DATA))
    path = file_of(tmp_path)
    path.unlink()
    with pytest.raises(BlobMissingError, match=f"{path.name} is not in {tmp_path}"):
        blob.open()
    assert issubclass(BlobMissingError, LookupError)


def test_keys_cannot_lead_out_of_the_place(tmp_path: Path) -> None:
    """A reference that somebody made up is no blob, whatever file it names."""
    good = source_of(stored(tmp_path, Blob(DATA))).content
    assert isinstance(good, StoredContent)
    depot, root = Depot(str(tmp_path)), good.key.split("/")[0]
    for key in ("../../etc/passwd", f"{good.key}/..", f"{root}/2026-01-01/../{good.key}", "", None, 7):
        with pytest.raises(ValueError, match=r"given as lineshaft\.Blob"):
            depot.load({"$blob": key, "size": 1, "sha256": good.sha256})


def test_name_appears_when_the_content_is_whole(tmp_path: Path) -> None:
    """While a blob is written, and when that breaks off, no file has its name."""
    seen: list[list[str]] = []

    def chunks() -> Iterator[bytes]:
        yield b"first"
        seen.append([path.suffix for path in tmp_path.rglob("*") if path.is_file()])
        raise OSError(5, "the caller's disk broke")

    with pytest.raises(BlobError, match="could not be written"):
        Folder(tmp_path).write(f"r/2026-01-01/{new_id()}/{'0' * 16}", chunks())
    assert seen == [[".part"]]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
