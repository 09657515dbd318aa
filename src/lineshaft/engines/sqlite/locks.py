"""Locks that say which workers of a SQLite store live: one locked file a worker, freed by the kernel at its death."""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import suppress
from pathlib import Path

from lineshaft.engines.base import WorkerLock
from lineshaft.errors import StoreError


class LockFolder:
    """The folder of lock files beside a store; for a store in memory, the locks of this process."""

    def __init__(self, store: Path | None) -> None:
        self._folder = store and store.with_name(f"{store.name}-workers")
        self._held_in_memory: set[int] = set()

    def hold(self, worker: int) -> WorkerLock:
        """Take the lock of a worker."""
        if self._folder is None:
            return _MemoryLock(self._held_in_memory, worker)
        try:
            self._folder.mkdir(exist_ok=True)
            return _FileLock(self._folder / str(worker))
        except PermissionError as error:
            msg = f"the folder of worker locks {self._folder} cannot be written ({error}); let its owner run the worker"
            raise StoreError(msg) from error

    def is_free(self, worker: int) -> bool:
        """Tell whether nobody holds the lock of this worker; its file is then removed.

        A file of another user that may not be opened tells nothing: its worker lives until its lease has ended.
        """
        if self._folder is None:
            return worker not in self._held_in_memory
        return _is_free(self._folder / str(worker))


def _is_free(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    except PermissionError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with suppress(PermissionError):  # another user's folder: its own workers clear it up
            path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


class _FileLock(WorkerLock):
    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        self._guard = threading.Lock()
        # A forked child shares the lock through its copy of the handle and would keep it alive: it lets go.
        os.register_at_fork(after_in_child=self._let_go)

    def renew(self) -> str:
        return ""  # the file's lock ends with the process only

    def release(self) -> None:
        with self._guard:
            if self._handle >= 0:
                with suppress(OSError):
                    self._path.unlink(missing_ok=True)
                self._let_go()

    def _let_go(self) -> None:
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            os.close(handle)


class _MemoryLock(WorkerLock):
    def __init__(self, held: set[int], worker: int) -> None:
        self._held, self._worker = held, worker
        held.add(worker)

    def renew(self) -> str:
        return ""

    def release(self) -> None:
        self._held.discard(self._worker)
