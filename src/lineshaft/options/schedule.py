"""What can be said about a schedule beside its rule: each checked once and kept in the units of the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict, get_args

from lineshaft.clock import SECOND, Duration, to_micros, to_text
from lineshaft.counts import checked_count
from lineshaft.errors import ConfigError

if TYPE_CHECKING:
    from datetime import datetime
    from datetime import time as time_of_day

    from lineshaft.newjob import NewJob
    from lineshaft.options.checks import PriorityName
    from lineshaft.recurrence import Calendar, OnClosed, Recurrence, Since

CatchUp = Literal["none", "one", "all"]
Overlap = Literal["allow", "skip", "queue", "cancel_running"]

_MOST_CAUGHT_UP: Final = 10_000
_LONGEST_NAME: Final = 200
_LOOKED_AT: Final = 50
"""How many ticks are compared with each other to find the shortest time between two."""
SYSTEM: Final = "lineshaft."
"""How the names of the store's own schedules begin."""


class RuleOptions(TypedDict, total=False):
    """When a schedule ticks; docs/schedule-rules.md explains each."""

    cron: str
    every: Duration
    since: Since
    at: datetime | Iterable[datetime]
    days: str
    time: str | time_of_day | Iterable[str | time_of_day]
    timezone: str
    calendar: Calendar | None
    on_closed: OnClosed
    start: datetime | None
    end: datetime | None


class TickOptions(RuleOptions, total=False):
    """When a schedule ticks, and what a tick does."""

    catch_up: CatchUp
    catch_up_limit: int
    grace: Duration
    overlap: Overlap
    jitter: Duration
    finish_within: Duration | None


class JobOptions(TypedDict, total=False):
    """Options of the jobs of a schedule, in place of their task's."""

    queue: str
    priority: int | PriorityName
    tenant: str | None
    tags: Sequence[str]


class DeclaredOptions(TickOptions, JobOptions, total=False):
    """What `@app.schedule(…)` takes."""

    name: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]


class ChangedOptions(TickOptions, JobOptions, total=False):
    """What `app.schedules.update` takes."""

    new_job: NewJob[Any]
    paused: bool


RULE: Final = frozenset(RuleOptions.__annotations__)
JOB: Final = frozenset(JobOptions.__annotations__)


def checked_name(name: Any) -> str:
    """Return the name of a schedule; raises `ConfigError` when it cannot be one."""
    is_text = isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME
    if not is_text or any(one.isspace() or not one.isprintable() for one in name):
        msg = f"name={name!r} must be a text of 1 to {_LONGEST_NAME} characters without white space"
        raise ConfigError(msg)
    if name.startswith(SYSTEM):
        msg = f"name={name!r} begins with {SYSTEM!r}, as only the store's own schedules do; take another one"
        raise ConfigError(msg)
    return str(name)


def checked_ticks(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was said of ticks, durations in microseconds; raises `ConfigError`, naming the option."""
    return {name: CHECKS[name](value) for name, value in given.items()}


def check_agreement(recurrence: Recurrence, ticks: Mapping[str, Any], now: int) -> None:
    """Raise `ConfigError` when the jitter does not fit between two ticks, or ends after the jobs should have ended."""
    jitter, within = ticks.get("jitter", 0), ticks.get("finish_within")
    if not jitter:
        return
    if within is not None and within <= jitter:
        msg = (
            f"finish_within={to_text(within)} leaves no time behind the jitter of {to_text(jitter)}; "
            "make it longer, or the jitter shorter"
        )
        raise ConfigError(msg)
    shortest = _shortest_interval(recurrence, now)
    if shortest is not None and jitter > shortest:
        msg = (
            f"jitter={to_text(jitter)} is longer than the {to_text(shortest)} between two ticks, "
            "so that jobs would overtake each other; make it shorter"
        )
        raise ConfigError(msg)


def _shortest_interval(recurrence: Recurrence, now: int) -> int | None:
    if recurrence.is_after_finish:
        return None  # the next tick waits for the job, however late it was
    ticks: list[int] = []
    tick = recurrence.after(now)
    while tick is not None and len(ticks) < _LOOKED_AT:
        ticks.append(tick)
        tick = recurrence.after(tick)
    return min((later - earlier for earlier, later in pairwise(ticks)), default=None)


def _word(option: str, words: Sequence[str]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in words:
            msg = f"{option}={value!r} must be one of {', '.join(map(repr, words))}"
            raise ConfigError(msg)
        return str(value)

    return check


def _grace(value: Any) -> int:
    micros = to_micros(value, "grace")
    if micros < SECOND:
        msg = f"grace={value!r} is too short: a tick is never decided at its very instant; give 1s or more"
        raise ConfigError(msg)
    return micros


def _finish_within(value: Any) -> int | None:
    micros = None if value is None else to_micros(value, "finish_within")
    if micros == 0:
        msg = "finish_within=0 leaves no time to run; give a longer one, or None"
        raise ConfigError(msg)
    return micros


CHECKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "catch_up": _word("catch_up", get_args(CatchUp)),
    "catch_up_limit": lambda value: checked_count("catch_up_limit", value, _MOST_CAUGHT_UP),
    "grace": _grace,
    "overlap": _word("overlap", get_args(Overlap)),
    "jitter": lambda value: to_micros(value, "jitter"),
    "finish_within": _finish_within,
}
