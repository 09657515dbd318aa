"""The clock of a test."""

from __future__ import annotations

from lineshaft.clock import SystemClock


class StandingClock(SystemClock):
    """Shows the time at which it was made until it is moved; spans are measured as ever."""

    def __init__(self) -> None:
        super().__init__()
        self._instant = super().now()

    def now(self) -> int:
        """Return the instant at which it stands, in microseconds since the epoch."""
        return self._instant

    def move_to(self, instant: int) -> None:
        """Move to an instant; never back."""
        self._instant = max(self._instant, instant)
