"""Where a queue's claims begin while the rows of finished jobs lie at its head and cannot be cleaned away.

PostgreSQL keeps a deleted row, and a claim steps over it, for as long as somebody's older transaction is open. Claims
then begin behind what was taken last, and a scout looks at what was left behind (docs/decisions/0010).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from lineshaft.clock import SECOND, Clock
from lineshaft.engines.base import Engine
from lineshaft.errors import StoreError
from lineshaft.store.claim import Claimed, Place, first_before

_log = logging.getLogger("lineshaft.worker")

# A claim from the head costs about 20 µs a job; what it takes beyond that goes into rows that it steps over.
_SLOW_SECONDS: Final = 0.005
_SLOW_SECONDS_A_JOB: Final = 0.00004
# A far store's answers take their time on the way, begin and commit of a look among them, and not always the same.
_ROUND_TRIPS: Final = 4
# A job becomes visible a little after the time that it carries: its enqueue has to commit.
_TARDY: Final = SECOND
_LONGEST_OVERTAKING: Final = 1.0
_FIRST_ID: Final = "00000000-0000-0000-0000-000000000000"


class Floor:
    """One queue's floor; the store thread claims by it, the scout recalls and drops it."""

    def __init__(self) -> None:
        self.place: Place | None = None
        """Where claims begin; None: at the head."""
        self._is_recalled = False

    def start(self) -> Place | None:
        """Return where the next claim begins; None: at the head."""
        is_recalled, self._is_recalled = self._is_recalled, False  # before the claim: a recall meanwhile counts
        return None if is_recalled else self.place

    def took(self, claimed: Sequence[Claimed], start: Place | None, *, is_full: bool, seconds: float, now: int) -> None:
        """Note what a claim from `start` took, and how long that was beyond the way; `is_full`: there may be more."""
        if not claimed:
            return
        if start is None and self.place is not None:
            self._is_recalled |= is_full and _place_of(claimed[-1]) < self.place
        elif start is not None or seconds > _SLOW_SECONDS + _SLOW_SECONDS_A_JOB * len(claimed):
            first = _place_of(claimed[0])
            # The turns of a fair queue may be ahead of the time.
            self.place = min(first, Place(first.rank, max(now, first.turn) - _TARDY, _FIRST_ID))

    def recall(self) -> None:
        """Have the next claim begin at the head: there is something before the floor."""
        self._is_recalled = True

    def drop(self) -> None:
        """Have all claims begin at the head again."""
        self.place = None


def seconds_beyond_the_way(clock: Clock, before: float) -> float:
    """Return the seconds that passed since `before`, without those that answers are on their way."""
    return clock.monotonic() - before - _ROUND_TRIPS * clock.round_trip


def _place_of(one: Claimed) -> Place:
    return Place(one.rank, one.turn, one.held.id)


class Scout:
    """Looks for jobs before the floors, so that none is overtaken for longer than a second.

    It has a thread and a connection of its own while a floor is in use: the look takes as long as the slow claim did.
    """

    def __init__(self, engine: Engine, floors: Mapping[str, Floor], look: Callable[[str], None]) -> None:
        self._engine, self._floors, self._look = engine, floors, look
        self._wanted = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self) -> None:
        """Look, again and again, while a floor is in use; one call tells whether one is."""
        if self._wanted.is_set() or all(floor.place is None for floor in self._floors.values()):
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="lineshaft-scout", daemon=True)
            self._thread.start()
        self._wanted.set()

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()

    def step(self) -> float | None:
        """Look once and return the seconds until the next look is due; None when no floor is in use."""
        in_use = [(queue, floor, floor.place) for queue, floor in self._floors.items() if floor.place is not None]
        if not in_use:
            return None
        before = self._engine.clock.monotonic()
        for queue, floor, place in in_use:
            self._look_before(queue, floor, place)
        seconds = self._engine.clock.monotonic() - before
        # A job that comes right after a look is found by the next one. Half of the time at most is spent looking.
        return max(_LONGEST_OVERTAKING - 2 * seconds, seconds)

    def _look_before(self, queue: str, floor: Floor, place: Place) -> None:
        clock = self._engine.clock
        before = clock.monotonic()
        if self._engine.read(lambda tx: first_before(tx, queue, place)) is not None:
            floor.recall()
            self._look(queue)
        elif seconds_beyond_the_way(clock, before) < _SLOW_SECONDS:
            floor.drop()

    def _work(self) -> None:
        while self._wanted.wait() and not self._ended.is_set():
            seconds = self._guarded_step()
            if seconds is None:
                self._wanted.clear()
            else:
                self._ended.wait(seconds)

    def _guarded_step(self) -> float | None:
        try:
            return self.step()
        except StoreError as error:
            _log.warning("looking for overtaken jobs failed, it is tried again: %s", error)
            return _LONGEST_OVERTAKING
