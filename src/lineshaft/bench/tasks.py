"""The tasks of `lineshaft bench`: they do nothing, so that what is measured is Lineshaft."""

from __future__ import annotations

from lineshaft import Lineshaft
from lineshaft.clock import wall_clock

app = Lineshaft()


@app.task
def in_thread(number: int) -> int:
    """Give back what was given."""
    return number


@app.task
async def in_loop(number: int) -> int:
    """Give back what was given."""
    return number


@app.task
def tell_start() -> int:
    """Return when it was called, in microseconds since the epoch."""
    return wall_clock()
