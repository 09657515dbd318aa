"""Every place keeps the same promises: a plain folder, and real file systems of fsspec."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from lineshaft import BlobError, BlobMissingError, ConfigError
from lineshaft.blobs.place import Place, open_place

if TYPE_CHECKING:
    from pathlib import Path

KEY, OTHER = "root/2026-01-01/job-1/a", "root/2026-01-01/job-2/b"


@pytest.fixture(params=["folder", "memory", "local", "dir", "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A new place of each kind."""
    match request.param:
        case "folder":
            return open_place(str(tmp_path / "blobs"))
        case "memory":
            return open_place(f"memory://{uuid4().hex}/blobs")
        case "local":
            return open_place(f"local://{tmp_path / 'blobs'}")
        case "dir":
            (tmp_path / "blobs").mkdir()
            return open_place(f"dir::file://{tmp_path / 'blobs'}")
        case _:
            return open_place(f"file://{tmp_path / 'blobs'}/")


def read(place: Place, key: str) -> bytes:
    """Return what lies under a key."""
    with place.open(key) as stream:
        return stream.read()


def test_content_comes_back(place: Place) -> None:
    """What was written piece by piece is read as a whole, and again from another part of it."""
    place.write(KEY, [b"ab", b"", b"cd"])
    assert read(place, KEY) == b"abcd"
    with place.open(KEY) as stream:
        assert stream.seek(2) == 2
        assert stream.read() == b"cd"


def test_copies_are_independent(place: Place) -> None:
    """A copy stays when the first one is deleted."""
    place.write(KEY, [b"ab"])
    place.copy(KEY, OTHER)
    place.delete(KEY)
    assert read(place, OTHER) == b"ab"


def test_missing_is_one_error(place: Place) -> None:
    """Reading or copying what is not there says so; deleting it is fine."""
    with pytest.raises(BlobMissingError, match="is not in"):
        place.open(KEY)
    with pytest.raises(BlobMissingError):
        place.copy(KEY, OTHER)
    place.delete(KEY)
    place.delete_below("root/2026-01-01")


def test_listing_and_deleting_below(place: Place) -> None:
    """Names right below a prefix are listed, and all below one are deleted together."""
    assert list(place.list("root")) == []
    place.write(KEY, [b"1"])
    place.write(OTHER, [b"2"])
    assert list(place.list("root")) == ["2026-01-01"]
    assert sorted(place.list("root/2026-01-01")) == ["job-1", "job-2"]
    place.delete_below("root/2026-01-01/job-1")
    assert list(place.list("root/2026-01-01")) == ["job-2"]
    assert read(place, OTHER) == b"2"
    place.delete_below("root/2026-01-01/job-1", "root/2026-01-01/job-2")
    assert list(place.list("root/2026-01-01")) == []


def test_a_place_that_fails_says_so(tmp_path: Path) -> None:
    """An error of the disk or the service is one `BlobError` that names the place."""
    (tmp_path / "file").write_text("no folder")
    for address in (str(tmp_path / "file"), f"local://{tmp_path / 'file'}"):
        with pytest.raises(BlobError, match="could not be written"):
            open_place(address).write(KEY, [b"1"])


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address whose driver, or fsspec itself, is not installed says what to install."""
    with pytest.raises(ConfigError, match=r"pip install 'fsspec\[nosuch\]'"):
        open_place("nosuch://bucket/prefix")
    with pytest.raises(ConfigError, match=r"needs a driver .*pip install 'fsspec\[s3\]'"):
        open_place("s3://bucket/prefix")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ConfigError, match=r"pip install 'lineshaft\[blobs\]'"):
        open_place("s3://bucket/prefix")
