"""`lineshaft schedules show`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from lineshaft.cli.completion import complete_schedules
from lineshaft.cli.output import one_line, print_hint, print_json, print_text, styled
from lineshaft.cli.schedules.ahead import in_utc
from lineshaft.cli.schedules.form import schedule_object, tick_object
from lineshaft.cli.schedules.history import print_ticks
from lineshaft.cli.schedules.times import both
from lineshaft.cli.schemas import WholeSchedule
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.cli.table import Column, print_table
from lineshaft.clock import to_micros, to_text
from lineshaft.errors import ScheduleError

if TYPE_CHECKING:
    from datetime import datetime

    from lineshaft.app.schedules import Schedule, Tick

_AHEAD: Final = 5
_BACK: Final = 5
_NOTHING: Final = "none"
_UNSHOWN: Final = "another one"
"""In place of what a schedule does not tell of its job, such as its retries."""
_CHANGES: Final = (Column("changed"), Column("now", may_be_cut=True), Column("in the code", may_be_cut=True))


@click.command("show")
@click.argument("name", metavar="NAME", shell_complete=complete_schedules)
@shared_options("app", "store", "json", "debug")
@pass_session
def show(session: Session, name: str) -> None:
    """Show everything about a schedule: rule, job, what was changed at run time, next times, last ticks.

    Example: lineshaft schedules show nightly-report
    """
    schedules = session.store().schedules
    schedule = schedules.get(name)
    times, ticks = _times(session, name), schedules.history(name, limit=_BACK)
    if session.is_json:
        print_json(_object(schedule, times, ticks))
        return
    _print_facts([fact for fact in _facts(schedule, times) if fact[1]])
    if schedule.overridden:
        print_text("")
        print_table(_CHANGES, _changes(schedule), empty="")
    if ticks:
        print_text("")
        print_ticks(ticks, schedule.timezone)


def _times(session: Session, name: str) -> list[datetime]:
    try:
        return session.store().schedules.next(name, _AHEAD)
    except ScheduleError as error:  # it cannot be read here; the rest of it can
        print_hint(f"its next times cannot be told: {error}")
        return []


def _object(schedule: Schedule, times: list[datetime], ticks: Sequence[Tick]) -> WholeSchedule:
    return {**schedule_object(schedule), "next": in_utc(times), "ticks": [tick_object(one) for one in ticks]}


def _facts(schedule: Schedule, times: Sequence[datetime]) -> Iterator[tuple[str, str]]:
    zone = schedule.timezone
    yield "name", schedule.name
    yield "when", one_line(schedule.in_words)
    yield "rule", _said(schedule.rule)
    yield "state", _state(schedule)
    yield "overdue", "" if schedule.overdue_at is None else f"since {both(schedule.overdue_at, zone)}"
    if schedule.queue is None:
        yield "watches", one_line(schedule.task or "")
    else:
        yield from _job(schedule)
    yield "from", both(schedule.start, zone)
    yield "until", both(schedule.end, zone)
    by = f", declared by {one_line(schedule.declared_by)}" if schedule.declared_by else ""
    yield "source", schedule.source + by
    yield "last", both(schedule.last_at, zone)
    for number, when in enumerate(times):
        yield "" if number else "next", both(when, zone)


def _state(schedule: Schedule) -> str:
    if schedule.paused_at is None:
        return styled(schedule.state)
    by = f" by {one_line(schedule.paused_by)}" if schedule.paused_by else ""
    reason = f": {one_line(schedule.pause_reason)}" if schedule.pause_reason else ""
    return f"{styled(schedule.state)} since {both(schedule.paused_at, schedule.timezone)}{by}{reason}"


def _job(schedule: Schedule) -> Iterator[tuple[str, str]]:
    yield "task", one_line(schedule.task or "")
    yield "args", _call(*schedule.args)
    yield "queue", schedule.queue or ""
    yield "priority", "" if schedule.priority is None else str(schedule.priority)
    yield "tags", one_line(", ".join(schedule.tags))
    yield "tenant", one_line(schedule.tenant or "")
    yield "catch up", _catch_up(schedule)
    yield "overlap", schedule.overlap
    yield "jitter", _span(schedule.jitter)
    yield "finish within", _span(schedule.finish_within)


def _catch_up(schedule: Schedule) -> str:
    limit = f" (the latest {schedule.catch_up_limit})" if schedule.catch_up == "all" else ""
    return f"{schedule.catch_up}{limit}, of ticks more than {_span(schedule.grace)} late"


def _changes(schedule: Schedule) -> Iterator[tuple[str, str, str]]:
    for name in schedule.overridden:
        now = getattr(schedule, "task" if name == "name" else name, _UNSHOWN)
        yield name, _value(name, now), _value(name, schedule.declared.get(name))


def _value(name: str, value: Any) -> str:
    if name == "args":
        return _call(*value) or _NOTHING
    if name == "rule":
        return _said(value)
    match value:
        case None:
            return _NOTHING
        case timedelta():
            return _span(value) or _NOTHING
        case str():
            return one_line(value)
        case _:
            return _json(value)


def _call(args: list[Any], kwargs: dict[str, Any]) -> str:
    return ", ".join(filter(None, [*map(_json, args), _said(kwargs)]))


def _said(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={_json(one)}" for name, one in values.items())


def _span(duration: timedelta | None) -> str:
    return to_text(to_micros(duration)) if duration else ""


def _json(value: Any) -> str:
    return one_line(msgspec.json.encode(value).decode())


def _print_facts(facts: Sequence[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in facts)
    for name, text in facts:
        print_text(f"{styled(name.ljust(width), 'dim')}  {text}")
