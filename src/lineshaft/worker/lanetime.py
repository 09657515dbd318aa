"""For how long the lanes had jobs to run."""

from __future__ import annotations

from lineshaft.clock import Clock


class LaneTime:
    """Counts the time in which lanes had jobs; that in which all of them waited for the store says nothing of the jobs.

    Without it a database that is far away looks like jobs that take long, and too few are claimed ahead. All instants
    are in seconds of a clock that never goes back.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._before = 0.0
        self._counted = 0.0
        self._begun = self._last_outcome = clock.monotonic()

    def outcome_came(self) -> None:
        """Note, from any thread, that a job's outcome came."""
        self._last_outcome = self._clock.monotonic()

    def jobs_came(self) -> None:
        """Note that lanes which had nothing to do have jobs again."""
        self._before = self._total()
        self._begun = self._clock.monotonic()

    def passed(self) -> float:
        """Return the seconds up to the last outcome that were not returned yet."""
        total = self._total()
        passed, self._counted = total - self._counted, total
        return passed

    def _total(self) -> float:
        return self._before + max(0.0, self._last_outcome - self._begun)
