"""What `lineshaft limits` prints."""

from __future__ import annotations

from typing import TypedDict

from lineshaft.cli.schemas.moment import Moment
from lineshaft.gates import Kind


class LimitForm(TypedDict):
    """A limit; `per` in seconds; what its kind does not have is null. `keys`, `held`, `waiting` count to a bound."""

    name: str
    kind: Kind
    limit: int | None
    count: int | None
    per: float | None
    burst: int | None
    cost: int | None
    low: int | None
    high: int | None
    key: list[str]
    per_tenant: bool
    overridden: list[str]
    keys: int
    held: int
    waiting: int


class LimitKeyForm(TypedDict):
    """One key of a limit; `jobs` are the ids of up to ten that run, `free_at` is null where the next may start now.

    `limit` says of a limit that learns how many may run at once now.
    """

    key: str
    held: int
    waiting: int
    jobs: list[str]
    free_at: Moment | None
    limit: int | None


class WholeLimit(LimitForm):
    """A limit with its busiest keys."""

    busiest: list[LimitKeyForm]
