"""One queue's places in a worker."""

from __future__ import annotations

from typing import Final

from lineshaft.worker.ageing import Ageing
from lineshaft.worker.floor import Floor
from lineshaft.worker.lanes.places import Places
from lineshaft.worker.run import Run

_LARGEST_CLAIM: Final = 1_000
# A claimed job that waits in this worker cannot be taken by another: it should not wait for longer than this.
_PREFETCH_SECONDS: Final = 0.05
_PREFETCH_SECONDS_IN_TURN: Final = 0.005
_HALF_LIFE_SECONDS: Final = 0.1
# Few jobs say little about the next ones: at first there are only so many times as many ahead as ended in a round.
_GROWTH: Final = 8
_FADING: Final = 0.7


class QueueSlots:
    """One queue's places in this worker, and how fast jobs went through them lately."""

    def __init__(self, name: str, limit: int) -> None:
        self.name, self.limit = name, limit
        self.places = Places(limit)
        self.held = 0
        self.ended = 0
        """How many of its jobs have ended here so far, well or not."""
        self.hung: list[Run] = []
        """Those of them that ignore being stopped: they keep their jobs, and others have their places."""
        self._ended_lately = self._seconds_lately = 0.0
        self._recent = 0.0
        """How many jobs ended in a round: the most of the last few."""
        self.may_have_jobs = True
        self.may_prefetch = True
        """Whether the last jobs were none for child processes: a job taken ahead might wait while one starts."""
        self.is_blocked = False
        """Whether its lane starts nothing at the moment, so that claimed jobs would only wait."""
        self.is_fair = False
        """Whether its jobs take turns: what is claimed ahead goes before a newcomer whose turn is next."""
        self.floor = Floor()
        self.ageing: Ageing | None = None

    def room(self) -> int:
        """Return how many jobs may be claimed now: the free places, and a little more for short jobs."""
        # The next jobs may take longer than the last: in a fair queue a newcomer waits for one more a place at most.
        most = min(self.rate * _PREFETCH_SECONDS_IN_TURN, self.limit) if self.is_fair else self.rate * _PREFETCH_SECONDS
        prefetch = int(min(most, self._recent * _GROWTH)) if self.may_prefetch else 0
        return min(self.limit + prefetch - self.busy, _LARGEST_CLAIM)

    @property
    def rate(self) -> float:
        """Jobs a second while the lanes had any, as of lately."""
        return self._ended_lately / self._seconds_lately if self._seconds_lately > 0 else 0.0

    @property
    def busy(self) -> int:
        """How many places are taken."""
        for run in [one for one in self.hung if one.is_ended]:
            self.hung.remove(run)
        return self.held - len(self.hung)

    def forget_rate(self) -> None:
        """Take none ahead until some have ended."""
        self._ended_lately = self._seconds_lately = 0.0

    def finished(self, count: int, unstarted: int, seconds: float) -> None:
        """Note that this many jobs ended, some of them without a start, in a time in which lanes had jobs to run."""
        self.held -= count
        self.ended += count - unstarted
        self._recent = max(count - unstarted, self._recent * _FADING)
        # Summed apart: jobs of one length end together, and each such end taken alone would look like a great rate.
        fading = 0.5 ** (seconds / _HALF_LIFE_SECONDS)
        self._ended_lately = self._ended_lately * fading + count - unstarted
        self._seconds_lately = self._seconds_lately * fading + seconds
