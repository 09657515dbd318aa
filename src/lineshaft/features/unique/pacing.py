"""When debounced and throttled jobs run: (run_at, stage), both as the store keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lineshaft.options import Debounce
from lineshaft.transitions import Stage

if TYPE_CHECKING:
    from lineshaft.features.unique.rules import Holder
    from lineshaft.options import Pace, Throttle


def place_of_waiting(holder: Holder, came_at: int, pace: Pace, now: int) -> tuple[int, int]:
    """Return when a waiting job runs that a newcomer of the time `came_at` gives its arguments to."""
    if not isinstance(pace, Debounce):
        return holder.run_at, holder.stage
    run_at = _after_quiet(pace, holder.created_at, came_at)
    if holder.started_at is not None:
        run_at = max(run_at, holder.run_at)  # it waits for another attempt, which must not come sooner than that said
    is_retrying = holder.stage == Stage.RETRYING and run_at > now
    return run_at, int(Stage.RETRYING) if is_retrying else _stage(run_at, now)


def place_of_new(own: Holder, former: Holder | None, pace: Pace, now: int) -> tuple[int, int]:
    """Return when a new job runs; `own` is what its row says, `former` who had the key before."""
    if isinstance(pace, Debounce):
        run_at = _after_quiet(pace, own.created_at, own.created_at)
    else:
        run_at = own.run_at if former is None else max(own.run_at, _free_at(former, pace, now))
    return run_at, _stage(run_at, now)


def _after_quiet(pace: Debounce, first: int, came_at: int) -> int:
    run_at = came_at + pace.silence
    return run_at if pace.longest is None else min(run_at, first + pace.longest)


def _stage(run_at: int, now: int) -> int:
    return int(Stage.SCHEDULED if run_at > now else Stage.READY)


def _free_at(former: Holder, pace: Throttle, now: int) -> int:
    if former.started_at is not None:
        return former.started_at + pace.interval
    # It was cancelled or expired before it began: the time that it was kept for is that of whoever comes next.
    return min(former.run_at, now + pace.interval)
