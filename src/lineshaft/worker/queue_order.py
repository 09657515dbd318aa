"""Which queue's jobs a worker takes next: strictly in the order given, or in turns by weight. No I/O, no clock.

Under weights each queue has a count, its *pass*, that grows with each job taken, the slower the greater its weight; the
queue with the smallest pass is next (stride scheduling: Waldspurger and Weihl, 1995).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class QueueOrder:
    """In what order a worker takes jobs, where that is not by queue, priority, time and id alone."""

    weights: Mapping[str, int] | None = None
    """Each queue's share of the worker's slots; None: a queue goes before all those named after it."""
    ageing: Mapping[str, int] = field(default_factory=dict[str, int])
    """For how many microseconds of waiting a job of a queue gains a step in priority; not for queues left out."""


class Weights:
    """Shares a worker's room among its queues, round by round."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        whole = math.lcm(*weights.values())
        self._strides = {queue: whole // weight for queue, weight in weights.items()}
        self._passes = dict.fromkeys(weights, 0)
        self._turn = dict(zip(weights, range(len(weights)), strict=True))
        self._reached = 0
        """The pass at which the last job was taken: a queue that comes back begins here, with no credit."""
        self._short: set[str] = set()
        """Queues that had less than was asked of them the last time."""

    def begin(self, room: int, rooms: Mapping[str, int]) -> Round:
        """Begin a round over these queues, which may have jobs, each with its own room, and together with `room`."""
        for queue in rooms:
            self._passes[queue] = max(self._passes[queue], self._reached)
        return Round(self, room, dict(rooms))

    def shares(self, room: int, rooms: Mapping[str, int]) -> dict[str, int]:
        """Return how many jobs to take from which queues; one that may be short of jobs comes first."""
        heap = [(self._passes[queue], self._turn[queue], queue) for queue, own in rooms.items() if own > 0]
        heapq.heapify(heap)
        found: dict[str, int] = {}
        while heap and room > 0:
            reached, turn, queue = heap[0]
            found[queue] = found.get(queue, 0) + 1
            room -= 1
            if found[queue] < rooms[queue]:
                heapq.heapreplace(heap, (reached + self._strides[queue], turn, queue))
            else:
                heapq.heappop(heap)
        return {
            queue: found[queue] for queue in sorted(found, key=lambda one: (one not in self._short, self._turn[one]))
        }

    def took(self, queue: str, count: int, *, is_short: bool) -> None:
        """Charge a queue for jobs that were taken from it."""
        (self._short.add if is_short else self._short.discard)(queue)
        if count:
            self._passes[queue] += count * self._strides[queue]
            self._reached = max(self._reached, self._passes[queue] - self._strides[queue])


class Round:
    """One round of claims: asks each queue for its share, and shares out anew what a queue had no jobs for."""

    def __init__(self, weights: Weights, room: int, rooms: dict[str, int]) -> None:
        self._weights, self._room, self._rooms = weights, room, rooms
        self._shares = weights.shares(room, rooms)

    def next(self) -> tuple[str, int] | None:
        """Return which queue is asked now, and for how many jobs; None when the round is over."""
        return next(iter(self._shares.items()), None)

    def took(self, queue: str, count: int) -> None:
        """Note how many jobs the queue gave that was asked."""
        is_short = count < self._shares.pop(queue)
        self._weights.took(queue, count, is_short=is_short)
        self._room -= count
        self._rooms[queue] -= count
        if is_short:
            del self._rooms[queue]
            self._shares = self._weights.shares(self._room, self._rooms)
