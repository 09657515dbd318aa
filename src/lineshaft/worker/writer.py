"""Writes large batches of outcomes beside the store thread, which claims the next jobs meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from lineshaft.transitions import Transition
from lineshaft.worker.finisher import Batch


class Written(NamedTuple):
    """What became of a batch: the transitions that took effect, or why none did."""

    batch: Batch
    transitions: list[Transition]
    error: Exception | None


class Writer:
    """One batch at a time, in a thread and a transaction of its own; the store thread hands it over and collects it."""

    def __init__(self, write: Callable[[Batch], list[Transition]], ring: Callable[[], None]) -> None:
        self._write, self._ring = write, ring
        self._batch: Batch | None = None
        self._written: Written | None = None
        self._wanted = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a batch was begun and not collected yet."""
        return self._batch is not None or self._written is not None

    def begin(self, batch: Batch) -> None:
        """Write a batch; `ring` is called when it can be collected."""
        self._batch = batch
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="lineshaft-writer", daemon=True)
            self._thread.start()
        self._wanted.set()

    def collect(self) -> Written | None:
        """Return what became of the batch, once; None as long as it is being written."""
        written, self._written = self._written, None
        return written

    def close(self) -> None:
        """End the thread, behind the batch that it writes."""
        self._closed = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while not self._closed or self._batch is not None:
            self._wanted.wait()
            self._wanted.clear()
            if self._batch is not None:
                # In this order: in between it is both under way and done, never neither.
                self._written = self._attempt(self._batch)
                self._batch = None
                self._ring()

    def _attempt(self, batch: Batch) -> Written:
        try:
            return Written(batch, self._write(batch), None)
        except Exception as error:  # noqa: BLE001 - raised again in the thread that collects it
            return Written(batch, [], error)
