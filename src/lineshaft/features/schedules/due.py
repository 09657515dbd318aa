"""What the clock has brought since a schedule was last looked at: ticks on time, and ticks that were missed."""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from typing import Final, NamedTuple

from lineshaft.clock import HOUR
from lineshaft.features.schedules.definition import Definition
from lineshaft.recurrence import Recurrence

MOST_AT_ONCE: Final = 1_000
"""How many ticks of one schedule are worked off before it is the turn of others."""
MOST_COUNTED: Final = 100
"""Up to how many missed ticks are counted."""

_PAGE: Final = 1_000
_WIDER: Final = 8
_SHARED: Final = 4_096


class Missed(NamedTuple):
    """Ticks at which nobody was there, and that are not caught up."""

    last_at: int
    number: int
    """How many; one more than `MOST_COUNTED` stands for any larger number."""


class Due(NamedTuple):
    """What is due."""

    ticks: tuple[int, ...]
    """Those that are acted on, in order."""
    missed: Missed | None
    next_at: int | None
    """The tick after all of these; it may be due too, when there were too many for once."""


NOTHING: Final = Due((), None, None)


def first_tick(recurrence: Recurrence, now: int) -> int | None:
    """Return the first tick of a schedule that begins, or goes on, now; None when there is none any more."""
    return recurrence.first(now)


def due_ticks(definition: Definition, next_at: int | None, now: int) -> Due:
    """Return what a schedule whose next tick was `next_at` has to do now.

    A tick is on time within the schedule's grace, each of them. An older one was missed: what becomes of those, its
    `catch_up` says. Instants in microseconds since the epoch.
    """
    if next_at is None or next_at > now:
        return Due((), None, next_at)
    limit = {"none": 0, "one": 1, "all": definition.catch_up_limit}[definition.catch_up]
    return _due_ticks(definition.recurrence, next_at, now - definition.grace, limit, now)


@lru_cache(maxsize=_SHARED)  # thousands of schedules with the same rule fall due in the same instant
def _due_ticks(recurrence: Recurrence, next_at: int, oldest: int, limit: int, now: int) -> Due:
    if recurrence.is_after_finish:
        return _after_finish(recurrence, next_at, oldest, limit, now)
    caught_up = _latest(recurrence, next_at - 1, oldest - 1, limit)
    missed = _missed(recurrence, next_at - 1, (caught_up[0] if caught_up else oldest) - 1)
    on_time = recurrence.between(max(next_at, oldest) - 1, now, MOST_AT_ONCE + 1)
    ticks = (*caught_up, *on_time)
    if len(ticks) > MOST_AT_ONCE:
        return Due(ticks[:MOST_AT_ONCE], missed, ticks[MOST_AT_ONCE])
    return Due(ticks, missed, recurrence.after(now))


def _after_finish(recurrence: Recurrence, next_at: int, oldest: int, limit: int, now: int) -> Due:
    """Return the only tick that can be due: the one after it depends on when its job ends."""
    if next_at >= oldest or limit:
        return Due((next_at,), None, None)
    return Due((), Missed(next_at, 1), recurrence.after(now))


def _missed(recurrence: Recurrence, after: int, until: int) -> Missed | None:
    first = recurrence.between(after, until, MOST_COUNTED + 1) if until > after else ()
    if not first:
        return None
    last = first[-1] if len(first) <= MOST_COUNTED else _latest(recurrence, after, until, 1)[-1]
    return Missed(last, len(first))


def _latest(recurrence: Recurrence, after: int, until: int, count: int) -> tuple[int, ...]:
    """Return the last `count` ticks behind `after` up to `until`; rules are walked forwards only."""
    span = HOUR
    while count and until > after:
        begin = max(after, until - span)
        found = _tail(recurrence, begin, until, count)
        if len(found) == count or begin == after:
            return found
        span *= _WIDER
    return ()


def _tail(recurrence: Recurrence, after: int, until: int, count: int) -> tuple[int, ...]:
    found: deque[int] = deque(maxlen=count)
    while page := recurrence.between(after, until, _PAGE):
        found.extend(page)
        after = page[-1]
    return tuple(found)
