"""What `take_turns` does, in plain Python: one queue of one priority, its jobs and who drew which places."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lineshaft.clock import SECOND
from lineshaft.options.fair import UNIT

if TYPE_CHECKING:
    from collections.abc import Mapping

SLACK = 8 * UNIT


@dataclass
class Drawn:
    """What is known of one whose jobs take turns."""

    next: int
    drawn_at: int
    lately: int


@dataclass
class Waiting:
    """A ready job."""

    place: int
    key: str
    is_held: bool = False
    came_back: bool = False


@dataclass
class Course:
    """The ready jobs by their names, which come in order of time, and what was drawn."""

    jobs: dict[str, Waiting] = field(default_factory=dict[str, Waiting])
    drawn: dict[str, Drawn] = field(default_factory=dict[str, Drawn])
    known: int | None = None

    def draw(self, wanted: Mapping[str, tuple[int, int]], now: int) -> dict[str, list[int]]:
        """Draw places for each key, given how far apart and how many."""
        head, tail = self.head(now), self.tail(now)
        if self.known is None or head > self.known + SLACK:
            self.known = head
        return {key: self._draw(key, *one, head, tail, now) for key, one in wanted.items()}

    def head(self, now: int) -> int:
        """How far the queue has come."""
        free = sorted((job.place, name, job.came_back) for name, job in self.jobs.items() if not job.is_held)
        fresh = [place for place, _, came_back in free[:100] if not came_back]
        last = max((job.place for job in self.jobs.values()), default=now)
        seen = fresh[0] if fresh else free[0][0] if free else last
        return seen if self.known is None else max(seen, self.known)

    def tail(self, now: int) -> int:
        """Where the last job stands."""
        return max(self.head(now), *(job.place for job in self.jobs.values()), 0)

    def first(self) -> str | None:
        """The job that is claimed next."""
        free = [(job.place, name) for name, job in self.jobs.items() if not job.is_held]
        return min(free)[1] if free else None

    def _draw(self, key: str, step: int, count: int, head: int, tail: int, now: int) -> list[int]:
        known = self.drawn.get(key)
        start, lately, span = head | 1, 0, step * count
        if known is not None:
            lately = known.lately * max(0, min(1_000, (11 * SECOND - (now - known.drawn_at)) // 10_000)) // 1_000
            if known.next > head | 1:
                start = min(known.next, tail + step + lately) | 1
        self.drawn[key] = Drawn(start + span, now, lately + span)
        places = [start + number * step for number in range(count)]
        return [start - 1, *places[1:]] if start == head | 1 else places
