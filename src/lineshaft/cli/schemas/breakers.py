"""What `lineshaft breakers` prints; durations are in seconds."""

from __future__ import annotations

from typing import Literal, TypedDict

from lineshaft.cli.schemas.moment import Moment


class BreakerForm(TypedDict):
    """A circuit breaker: what it does, and what rules it; `waiting` is counted to 10,000."""

    name: str
    state: Literal["closed", "open", "half_open"]
    forced: bool
    since: Moment | None
    until: Moment | None
    recent_failures: int
    error: str | None
    waiting: int
    failures: int
    within: float
    reset: float
    half_open: int
    when_open: Literal["wait", "fail"]
