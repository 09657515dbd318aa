"""The tasks of `lineshaft bench`: they do nothing, so that what is measured is Lineshaft."""

from __future__ import annotations

from typing import Any, Final

from lineshaft import Lineshaft, Task
from lineshaft.clock import wall_clock

APP: Final = "lineshaft.bench.tasks:app"
MEASURED: Final = "LINESHAFT_BENCH_APP"
"""Tells the bench's worker which app is measured: `module:name`."""
_TELL_START: Final = "lineshaft.bench.tell_start"

app = Lineshaft()


@app.task
def in_thread(number: int) -> int:
    """Give back what was given."""
    return number


@app.task
async def in_loop(number: int) -> int:
    """Give back what was given."""
    return number


def add_tell_start(to: Lineshaft) -> Task[Any, Any, Any]:
    """Give an app, the user's too, the task with which pick-up is measured."""
    return to.task(name=_TELL_START)(_tell_start)


def _tell_start() -> int:
    """Return when it was called, in microseconds since the epoch."""
    return wall_clock()
