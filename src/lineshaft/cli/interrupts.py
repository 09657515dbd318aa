"""Ctrl-C that is not lost: a KeyboardInterrupt in a destructor or at an import's end is only printed by Python."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_AGAIN_SECONDS: Final = 0.01


@contextmanager
def lost_interrupts_raised_again() -> Iterator[None]:
    """Raise a KeyboardInterrupt that Python swallowed once more, a moment later, for as long as the block.

    The module locks of Python's import system have weak references with callbacks, so a Ctrl-C while a command still
    imports is often lost, and the command would go on waiting.
    """
    before = sys.unraisablehook

    def hook(unraisable: UnraisableHookArgs, /) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            # Raised here it would be swallowed as well: an alarm brings it back after the callback has returned.
            signal.signal(signal.SIGALRM, signal.default_int_handler)
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)
        else:
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = before
