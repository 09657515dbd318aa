"""The places of one queue, which all its lanes share, so that no more of its jobs run than its limit says."""

from __future__ import annotations

from typing import Protocol

from lineshaft.store.claim import Place
from lineshaft.worker.run import Run


class Guest(Protocol):
    """Who takes places: a lane."""

    def foremost(self) -> Run | None:
        """Return the job that waits in front."""

    def wake(self) -> None:
        """Take up a place that was granted, from any thread: start the next job, or give the place back."""


class Places:
    """As many places as jobs of the queue may run at once; whoever starts a job holds one until the job has ended.

    There is no lock: to take from a list or to add to it is atomic. A queue with one lane never lacks a place and pays
    for nothing else. A lane that finds none is noted; whoever holds a place gives it up to the noted lane whose next
    job comes before its own in the queue's order.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._free = [True] * limit
        self._grants: list[Guest] = []
        """One for each place that was given to a lane which has not taken it up yet."""
        self._waiting: set[Guest] = set()
        self._guests = 0

    def join(self) -> None:
        """Note that one more lane takes places."""
        self._guests += 1

    @property
    def are_shared(self) -> bool:
        """Whether several lanes take them, so that one has to ask before it starts what it was handed."""
        return self._guests > 1

    @property
    def are_wanted(self) -> bool:
        """Whether a lane waits for one."""
        return bool(self._waiting)

    @property
    def are_free(self) -> bool:
        """Whether anybody may take one."""
        return bool(self._free)

    def take(self, guest: Guest) -> bool:
        """Take a place; without one, note that the lane waits, which is woken when it gets one."""
        if self._take_up(guest) or self._take_free():
            return True
        self._waiting.add(guest)
        if not self._take_free():  # asked once more: one that was given back before we were noted wakes nobody
            return False
        self._waiting.discard(guest)
        return True

    def give(self) -> None:
        """Give a place back."""
        self._free.append(True)
        self._serve()

    def want(self, guest: Guest) -> None:
        """Note that a lane could use one more place."""
        self._waiting.add(guest)
        self._serve()

    def are_wanted_before(self, run: Run) -> bool:
        """Tell whether a lane waits for one whose next job comes before this one."""
        first = self._first_waiting()
        return first is not None and _place(first[0]) < _place(run)

    def keeps_waiting(self, guest: Guest) -> bool:
        """Tell whether to ask now would be in vain, and the lane is woken when it is not."""
        return guest in self._waiting and not self._free and guest not in self._grants

    def decline(self, guest: Guest) -> None:
        """Give back what a lane that has nothing to start was granted."""
        while self._take_up(guest):
            self.give()

    def _serve(self) -> None:
        while self._waiting and (first := self._first_waiting()) is not None and self._take_free():
            self._grant(first[1])

    def _grant(self, guest: Guest) -> None:
        self._waiting.discard(guest)
        self._grants.append(guest)
        guest.wake()

    def _first_waiting(self) -> tuple[Run, Guest] | None:
        found = [(run, guest) for guest in list(self._waiting) if (run := guest.foremost()) is not None]
        return min(found, key=lambda one: _place(one[0]), default=None)

    def _take_up(self, guest: Guest) -> bool:
        if not self._grants:
            return False
        try:
            self._grants.remove(guest)
        except ValueError:
            return False
        return True

    def _take_free(self) -> bool:
        try:
            self._free.pop()
        except IndexError:
            return False
        return True


def _place(run: Run) -> Place:
    return Place(run.claimed.rank, run.claimed.turn, run.claimed.held.id)
