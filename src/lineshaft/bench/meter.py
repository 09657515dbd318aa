"""How busy a worker's processes, and the machine, are meanwhile."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import psutil

_ONE: Final = 1.0


class Meter:
    """Counts from its making on; `pid` is the first process of the tree that is watched."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before = _tree_seconds(pid)
        self._busy, self._all = _machine_seconds()

    def cpu_seconds(self) -> float:
        """Return the CPU time that the tree took since."""
        return max(0.0, _tree_seconds(self._pid) - self._before)

    def cores(self, seconds: float) -> float:
        """Return how many cores the tree kept busy in a run of so many seconds."""
        return round(self.cpu_seconds() / seconds, 2)

    def machine(self) -> float:
        """Return which part of all cores was busy since, from 0 to 1."""
        busy, all_of_it = _machine_seconds()
        passed = all_of_it - self._all
        return round(min(_ONE, (busy - self._busy) / passed), 2) if passed > 0 else 0.0


def _tree_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and all under it; what has ended counts at its parent."""
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        first = psutil.Process(pid)
        for one in (first, *first.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times = one.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total


def _machine_seconds() -> tuple[float, float]:
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    return sum(times) - idle, sum(times)
