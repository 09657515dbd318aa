"""The terminal of a live view: keys without Return, signals and news as bytes of one pipe, and all of it put back."""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_READ_BYTES: Final = 1024
_ESCAPED: Final = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O.)?")
"""What arrows, function keys and Escape itself send."""


class Terminal:
    """Waits for keys and for reasons to draw anew."""

    def __init__(self, keyboard: int | None, wakes: int, rings: int) -> None:
        self._keyboard, self._wakes, self._rings = keyboard, wakes, rings
        self.is_ended = False
        """Whether this process was told to end."""

    def wake(self) -> None:
        """Have `wait` return; from any thread."""
        os.write(self._rings, b"\0")

    def wait(self) -> str:
        """Wait for keys, a new size, a call of `wake` or the end, and return the keys; arrows and the like are none."""
        watched = [self._wakes] if self._keyboard is None else [self._wakes, self._keyboard]
        ready, _, _ = select.select(watched, [], [])
        if self._wakes in ready:
            self.is_ended = signal.SIGTERM in os.read(self._wakes, _READ_BYTES) or self.is_ended
        if self._keyboard is None or self._keyboard not in ready:
            return ""
        keys = os.read(self._keyboard, _READ_BYTES)
        if not keys:  # the terminal is gone
            self.is_ended = True
        return _ESCAPED.sub("", keys.decode(errors="replace"))


@contextmanager
def opened() -> Iterator[Terminal]:
    """Take keys and signals for the length of a block of the main thread; afterwards everything is as it was."""
    wakes, rings = os.pipe()
    os.set_blocking(rings, False)
    wakeup_before = signal.set_wakeup_fd(rings, warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, _note) for number in (signal.SIGTERM, signal.SIGWINCH)}
    keyboard = sys.stdin.fileno() if sys.stdin.isatty() else None
    try:
        with _single_keys(keyboard):
            yield Terminal(keyboard, wakes, rings)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup_before)
        os.close(rings)
        os.close(wakes)


@contextmanager
def _single_keys(keyboard: int | None) -> Iterator[None]:
    """Have each key come at once, unseen. Ctrl-Z does nothing: a stopped process would leave the other screen up."""
    if keyboard is None:
        yield
        return
    before = termios.tcgetattr(keyboard)
    try:
        tty.setcbreak(keyboard)
        changed = termios.tcgetattr(keyboard)
        changed[6][termios.VSUSP] = b"\0"
        termios.tcsetattr(keyboard, termios.TCSANOW, changed)
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSAFLUSH, before)


def _note(_number: int, _frame: object) -> None:
    """Stand for a handler: the wake-up pipe is only written for signals that have one."""
