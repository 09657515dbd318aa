"""Lock files of a SQLite store that belong to another user."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lineshaft.engines.sqlite.locks import LockFolder
from lineshaft.errors import StoreError

WORKER = 7
NOBODY = 65534


@pytest.fixture
def store() -> Iterator[Path]:
    """A place for a store that every user can reach."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder / "jobs.db"
    shutil.rmtree(folder)


@contextmanager
def powerless() -> Iterator[None]:
    """Be a user without rights over other users' files, where this process is root."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


def lock_file(store: Path) -> Path:
    return store.with_name("jobs.db-workers") / str(WORKER)


def test_lock_of_another_user_is_seen(store: Path) -> None:
    """Whether a worker lives can be told by a user who may only read its lock file."""
    lock = LockFolder(store).hold(WORKER)
    others = LockFolder(store)
    folder = lock_file(store).parent
    folder.chmod(0o555)
    with powerless():
        assert not others.is_free(WORKER)
    lock._let_go()
    with powerless():
        assert others.is_free(WORKER)
    assert lock_file(store).exists()
    folder.chmod(0o755)
    assert others.is_free(WORKER)
    assert not lock_file(store).exists()


def test_unreadable_lock_tells_nothing(store: Path) -> None:
    """A lock file that may not be opened leaves the worker alive: its lease decides."""
    lock = LockFolder(store).hold(WORKER)
    lock._let_go()
    lock_file(store).chmod(0)
    with powerless():
        assert not LockFolder(store).is_free(WORKER)


def test_folder_without_the_right_to_write(store: Path) -> None:
    """A worker whose user may not write the folder of locks is told so in one line."""
    folder = lock_file(store).parent
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR | stat.S_IROTH | stat.S_IXOTH)
    with powerless(), pytest.raises(StoreError, match=r"cannot be written.*let its owner run the worker"):
        LockFolder(store).hold(WORKER)
