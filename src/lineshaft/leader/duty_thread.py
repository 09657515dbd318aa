"""The thread of one duty: it calls the duty's steps when they are due, and is not ended by whatever they meet."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from lineshaft.clock import SECOND, Clock
from lineshaft.feature import Duty
from lineshaft.leader.trouble import Trouble

_LONGEST_SLEEP_SECONDS: Final = 1.0
"""After this time a sleeper looks at the clock again, which may have been set."""
_CLOCK_WAS_SET_SECONDS: Final = 1.0
_SHORTEST_SECONDS: Final = 1e-6
"""What is shorter is nothing: clocks and timers count microseconds."""
# Whoever wakes a duty all the time takes no more than about a tenth of a core that way.
_RESTS: Final = 10
_LONGEST_REST_SECONDS: Final = 0.1


class DutyThread:
    """Does a duty from one election on until it is ended, beginning after the thread that did it before.

    `is_sure` tells whether this worker still leads for certain. While it does not, no step is called, and the duty
    begins anew afterwards.
    """

    def __init__(self, duty: Duty, clock: Clock, is_sure: Callable[[], bool], before: DutyThread | None) -> None:
        self.duty, self._clock, self._is_sure, self._before = duty, clock, is_sure, before
        self._ended, self._woken = threading.Event(), threading.Event()
        self._trouble = Trouble(duty.name)
        self._has_begun = False
        self._deaf_until = 0.0
        """Until when, by the clock that nobody sets, it is not to be woken."""
        self._thread = threading.Thread(target=self._work, name=f"lineshaft-{duty.name}", daemon=True)

    def start(self) -> None:
        """Start to do the duty."""
        self.duty.wake = self.wake
        self._thread.start()

    def wake(self) -> None:
        """Call the next step soon; from any thread."""
        self._woken.set()

    def confirm(self) -> None:
        """Note that this worker leads for certain: a duty that was stopped by doubts goes on."""
        if not self._has_begun:
            self._woken.set()

    def end(self) -> None:
        """End after the step that is under way."""
        self._ended.set()
        self._woken.set()

    def join(self, seconds: float | None) -> None:
        """Wait for the end."""
        if self._thread is not threading.current_thread():
            self._thread.join(seconds)

    def _work(self) -> None:
        if self._before is not None:  # the duty is one object: two threads in it would be in each other's way
            self._before.join(None)
            self._before = None
        while not self._ended.is_set():
            if self._is_sure():
                self._sleep_until(self._guarded_step())
            else:
                self._doubt()

    def _doubt(self) -> None:
        self._has_begun = False
        self._woken.wait(_LONGEST_SLEEP_SECONDS)
        self._woken.clear()

    def _guarded_step(self) -> int:
        self._woken.clear()
        began = self._clock.monotonic()
        try:
            due = self._step(self._clock.now())
        except Exception as error:  # noqa: BLE001 - others count on the duty, whatever defect it has
            rest = self._trouble.met(error)
            self._deaf_until = self._clock.monotonic() + rest
            return self._clock.now() + round(rest * SECOND)
        self._trouble.is_over()
        ended = self._clock.monotonic()
        self._deaf_until = ended + min(_RESTS * (ended - began), _LONGEST_REST_SECONDS)
        return due

    def _step(self, now: int) -> int:
        if not self._has_begun:
            self.duty.begin(now)
            self._has_begun = True
        return self.duty.step(now)

    def _sleep_until(self, due: int) -> None:
        offset = self._offset()
        while not self._ended.is_set() and self._is_sure():
            left = (due - self._clock.now()) / SECOND
            was_clock_set = abs(self._offset() - offset) > _CLOCK_WAS_SET_SECONDS
            if left <= 0 or was_clock_set or self._hears(min(left, _LONGEST_SLEEP_SECONDS)):
                return

    def _offset(self) -> float:
        return self._clock.now() / SECOND - self._clock.monotonic()

    def _hears(self, seconds: float) -> bool:
        """Sleep, and tell whether somebody woke it."""
        deaf = self._deaf_until - self._clock.monotonic()
        if deaf < _SHORTEST_SECONDS:
            return self._woken.wait(seconds)
        self._ended.wait(min(deaf, seconds))
        return False
