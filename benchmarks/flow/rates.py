"""Measures a rate of 10 a second with a crowd behind it: what it costs others, and how exact it is, also of a queue."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from benchmarks.flow.draining import SLOTS, Drain, Drained, compare
from benchmarks.flow.site import Line, Site
from lineshaft import Lineshaft, Rate, Task

A_SECOND: Final = 10
LEAST: Final = 0.9
MOST_OFF: Final = 0.02
_CHUNK: Final = 10_000
_FED: Final = 1_000
_SETTLING_SECONDS: Final = 2.0

Work = Task[[int], None, None]


def measure_others(free: Site, crowded: Site, crowd: int, jobs: int, rounds: int) -> Line:
    """Return how much of their throughput other jobs of a queue keep; the sites are two stores of one kind."""
    with closing(_Others(free)) as alone, closing(_Others(crowded)) as beside:
        fill(beside.drain.app, beside.limited, crowd)
        found = compare(jobs, rounds, lambda: alone.run(jobs), lambda: beside.run(jobs))
    figure = f"others of the queue, {crowd:,} behind a rate of {A_SECOND}/s, of their throughput without"
    return found.line(free, figure, LEAST)


def measure_minute(site: Site, crowd: int, seconds: float) -> Iterator[Line]:
    """Return how many jobs a rate lets start, and one of a whole queue, while others of theirs run flat out."""
    with closing(Lineshaft(site.address)) as app:
        course = _Course(app)
        app.queues.update("paced", rate=f"{A_SECOND}/s")
        fill(app, course.limited, crowd)
        fill(app, course.paced, round(2 * A_SECOND * (seconds + _SETTLING_SECONDS)))
        with app.worker({"default": SLOTS, "paced": SLOTS}):
            course.feed(seconds + 2 * _SETTLING_SECONDS)
    others = course.done / (seconds + 2 * _SETTLING_SECONDS)
    for who, what in ((course.limited, "a key"), (course.paced, "a queue")):
        figure = f"{A_SECOND}/s of {what}, started in {seconds:.0f} s, beside {others:,.0f} others a second"
        yield exact(site, figure, course.starts[who.name], seconds)


def fill(app: Lineshaft, task: Work, count: int) -> None:
    """Have so many jobs of a task wait."""
    for first in range(0, count, _CHUNK):
        app.enqueue_many([task.new(number) for number in range(first, min(count, first + _CHUNK))])


class _Others:
    """A store with a task that is limited, and one that is not."""

    def __init__(self, site: Site) -> None:
        self.drain = Drain(site)

        @self.drain.app.task(name="flow.limited", rate=Rate(A_SECOND, per="1s"))
        def limited(_number: int) -> None:
            pass

        @self.drain.app.task(name="flow.free")
        def free(_number: int) -> None:
            self.drain.end()

        self.limited, self.free = limited, free

    def run(self, jobs: int) -> Drained:
        return self.drain.run([self.free.new(number) for number in range(jobs)])

    def close(self) -> None:
        self.drain.close()


class _Course:
    """When jobs with a rate started, beside others that never run out."""

    def __init__(self, app: Lineshaft) -> None:
        self.done = 0
        self.starts: dict[str, list[float]] = {"flow.limited": [], "flow.paced": []}
        self._ended = threading.Semaphore(0)

        @app.task(name="flow.limited", rate=Rate(A_SECOND, per="1s"))
        def limited(_number: int) -> None:
            self.starts["flow.limited"].append(time.monotonic())

        @app.task(name="flow.paced", queue="paced")
        def paced(_number: int) -> None:
            self.starts["flow.paced"].append(time.monotonic())

        @app.task(name="flow.free")
        def free(_number: int) -> None:
            self._ended.release()

        self.limited, self.paced, self._free = limited, paced, free

    def feed(self, seconds: float) -> None:
        """Keep other jobs waiting for this long."""
        until = time.monotonic() + seconds
        self._free.enqueue_many(range(2 * _FED))
        while time.monotonic() < until:
            self._free.enqueue_many(range(_FED))
            for _ in range(_FED):
                self._ended.acquire()
            self.done += _FED


def exact(site: Site, figure: str, starts: list[float], seconds: float) -> Line:
    """Return the line for jobs as they started: those of so many seconds, after some to settle."""
    begin = starts[0] + _SETTLING_SECONDS
    count = sum(begin <= at < begin + seconds for at in starts)
    expected = A_SECOND * seconds
    low, high = (expected * (1 + off) for off in (-MOST_OFF, MOST_OFF))
    return Line(site.title, figure, f"{count}", f"{low:.0f} to {high:.0f}", low <= count <= high)
