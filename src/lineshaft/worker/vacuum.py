"""Keeps the live table clean while jobs go through it."""

from __future__ import annotations

import logging
import threading
from typing import Final

from lineshaft.engines.base import Engine
from lineshaft.errors import StoreError

_log = logging.getLogger("lineshaft.worker")

_AFTER_JOBS: Final = 5_000
_SECONDS: Final = 2.0
# Where nothing may be removed, because somebody's older transaction is open, each vacuum takes longer than the last.
_PAUSES: Final = 10


class Vacuum:
    """Has the store cleaned up every few seconds while jobs go through it, in a thread of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._jobs = 0
        self._last = engine.clock.monotonic()
        self.pause_seconds = _SECONDS
        """How long to wait at least before the next one."""
        self._due = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def after(self, jobs: int) -> None:
        """Note that this many jobs were written, and clean up when it is time."""
        self._jobs += jobs
        if self._jobs >= _AFTER_JOBS and self._engine.clock.monotonic() - self._last >= self.pause_seconds:
            self._jobs, self._last = 0, self._engine.clock.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="lineshaft-vacuum", daemon=True)
                self._thread.start()
            self._due.set()

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._due.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            if self._closed:
                return
            before = self._engine.clock.monotonic()
            try:
                self._engine.vacuum()
            except StoreError as error:
                _log.warning("cleaning up the store failed, it is tried again: %s", error)
            seconds = self._engine.clock.monotonic() - before
            self.pause_seconds = max(_SECONDS, _PAUSES * seconds)
