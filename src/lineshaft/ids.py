"""The ids of jobs: UUIDv7, made by the client, ascending in time."""

from __future__ import annotations

import hashlib
import os
import threading
from typing import Final
from uuid import UUID

from lineshaft.clock import wall_clock
from lineshaft.errors import JobNotFound

_COUNTER_BITS: Final = 12
_COUNTER: Final = (1 << _COUNTER_BITS) - 1
_VARIANTS: Final = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))  # two random bits behind the bits 10
_id_lock: Final = threading.Lock()
_last_id: list[int] = [0]


def new_id() -> str:
    """Return a new job id: a UUIDv7 (RFC 9562), greater than every one made before in this process."""
    return new_ids(1)[0]


def new_ids(count: int) -> list[str]:
    """Return new job ids, as `new_id` makes them, in ascending order."""
    with _id_lock:
        # Milliseconds, then 12 bits that count within one; who makes more of them borrows from the next.
        first = max((wall_clock() << _COUNTER_BITS) // 1_000, _last_id[0] + 1)
        _last_id[0] = first + count - 1
    tails = os.urandom(8 * count).hex()
    return [_id(first + n, tails[16 * n : 16 * n + 16]) for n in range(count)]


def derived_id(instant: int, *parts: object, place: int = 0) -> str:
    """Return the id that always comes of an instant (microseconds since the epoch), these parts, and a place.

    Of several that come of one instant those with higher places are greater, as ids made by `new_ids` would be.
    """
    digest = hashlib.sha256("\x00".join(map(str, parts)).encode()).hexdigest()
    return _id((instant << _COUNTER_BITS) // 1_000 + place, digest[:16])


def _id(ticks: int, tail: str) -> str:
    millis = f"{ticks >> _COUNTER_BITS:012x}"
    variant = _VARIANTS[tail[0]]
    return f"{millis[:8]}-{millis[8:]}-7{ticks & _COUNTER:03x}-{variant}{tail[1:4]}-{tail[4:]}"


def checked_id(job_id: str) -> str:
    """Return a job id in its canonical form; raises `JobNotFound` when it cannot be one."""
    try:
        return str(UUID(job_id))
    except (ValueError, AttributeError, TypeError):
        msg = f"{job_id!r} is not a job id; ids look like 0197a6f0-5c1e-7cc3-98c4-dc0c0c07398f"
        raise JobNotFound(msg) from None
