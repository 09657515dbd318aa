"""How many times something is measured: often enough, and not for too long on a store that answers slowly."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import Final

_FEWEST: Final = 20
LONGEST_SECONDS: Final = 8.0


def numbers_in_time(count: int) -> Iterator[int]:
    """Yield 1, 2, … up to `count`, and end after eight seconds, though not before 20."""
    end = perf_counter() + LONGEST_SECONDS
    for number in range(1, count + 1):
        if number > _FEWEST and perf_counter() > end:
            return
        yield number
