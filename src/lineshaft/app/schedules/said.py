"""A rule as a user would write it: the arguments that make it, and the same as plain values to be shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from lineshaft.clock import to_datetime, to_text
from lineshaft.options.schedule import RULE
from lineshaft.recurrence import Cron, Days, Every, Once, Recurrence, recurrence_of

_WHEN = frozenset({"cron", "every", "since", "at", "days", "time"})


def changed_recurrence(held: Recurrence, given: Mapping[str, Any], now: int) -> Recurrence:
    """Return a rule with other arguments in place; another kind of rule takes the place of the whole kind.

    Raises as `recurrence_of`.
    """
    changes = {name: value for name, value in given.items() if name in RULE}
    if not changes:
        return held
    said = arguments_of(held)
    if changes.keys() & {"cron", "every", "at", "days"}:
        said = {name: value for name, value in said.items() if name not in _WHEN}
    return recurrence_of(**{**said, **changes}, now=now)


def arguments_of(recurrence: Recurrence) -> dict[str, Any]:
    """Return the arguments that make this rule."""
    rest = {
        "timezone": recurrence.timezone,
        "calendar": recurrence.calendar,
        "on_closed": recurrence.on_closed,
        "start": None if recurrence.start is None else to_datetime(recurrence.start),
        "end": None if recurrence.end is None else to_datetime(recurrence.end),
    }
    return {**_kind(recurrence), **{name: value for name, value in rest.items() if value is not None}}


def shown(recurrence: Recurrence) -> dict[str, Any]:
    """Return the same as JSON values, as short as may be: durations such as "1h30m", instants in ISO form, in UTC."""
    unsaid = {"since": "clock"} if recurrence.calendar is not None else {"since": "clock", "on_closed": "skip"}
    said = {name: _plain(value) for name, value in arguments_of(recurrence).items()}
    return {name: value for name, value in said.items() if unsaid.get(name) != value}


def _kind(recurrence: Recurrence) -> dict[str, Any]:
    match recurrence.rule:
        case Cron(expression):
            return {"cron": expression}
        case Every(interval, since):
            return {"every": timedelta(microseconds=interval), "since": since}
        case Once(times):
            return {"at": [to_datetime(one) for one in times]}
        case Days(days, times):
            return {"days": days, "time": list(times)}


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return to_text(value // timedelta(microseconds=1))
    return msgspec.to_builtins(value)
