"""Signals that are not lost: what their handlers raise in a destructor or at an import's end Python only prints."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_AGAIN_SECONDS: Final = 0.01


@contextmanager
def lost_interrupts_raised_again() -> Iterator[None]:
    """Raise a KeyboardInterrupt or SystemExit that Python swallowed once more, a moment later, while the block runs.

    The module locks of Python's import system have weak references with callbacks, so a Ctrl-C while a command still
    imports is often lost, and the command would go on waiting.
    """
    before = sys.unraisablehook

    def hook(unraisable: UnraisableHookArgs, /) -> None:
        lost = unraisable.exc_value
        if isinstance(lost, KeyboardInterrupt | SystemExit):
            # Raised here it would be swallowed as well: an alarm brings it back after the callback has returned.
            signal.signal(signal.SIGALRM, _raiser(lost))
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)
        else:
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = before


def _raiser(error: BaseException) -> Callable[[int, FrameType | None], None]:
    again = type(error)(*error.args)  # a new one: the hook's must not be kept

    def handler(_number: int, _frame: FrameType | None) -> None:
        raise again

    return handler
