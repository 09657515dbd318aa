"""Stops that Python swallowed: raised in a destructor or a weak reference's callback, an exception is only printed."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Final

from lineshaft.outcomes import Cancelled
from lineshaft.worker.run import Run

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_lock: Final = threading.Lock()


def note_lost_stops() -> None:
    """Have every `Cancelled` that is lost in a job's thread noted there; all else goes on to the hook that was set."""
    with _lock:
        if not isinstance(sys.unraisablehook, _Hook):
            sys.unraisablehook = _Hook()


class _Hook:
    def __init__(self) -> None:
        self._next = sys.unraisablehook

    def __call__(self, unraisable: UnraisableHookArgs, /) -> None:
        # No lock and no thread is touched here: it runs wherever the garbage collector does.
        run = getattr(threading.current_thread(), "lineshaft_run", None)
        if isinstance(run, Run) and issubclass(unraisable.exc_type, Cancelled):
            run.note_lost_stop()
        else:
            self._next(unraisable)
