"""The options that say when a schedule ticks, and what a tick does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

import click

from lineshaft.cli.completion import complete_queues
from lineshaft.cli.jobs.new import priority
from lineshaft.cli.values import duration, json_value
from lineshaft.options.schedule import CatchUp, Overlap
from lineshaft.recurrence import Calendar, OnClosed, Since
from lineshaft.recurrence.zones import zone_of

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

F = TypeVar("F", bound=Callable[..., Any])

_KINDS: Final = ("cron", "every", "at", "days")
_RULE: Final = (*_KINDS, "since", "time", "timezone", "on_closed", "start", "end")
_CALENDAR: Final = ("country", "weekend", "closed", "open", "hours")
_TICKS: Final = ("catch_up", "catch_up_limit", "grace", "overlap", "jitter", "finish_within")
_MAY_BE_NONE: Final = ("start", "end", "jitter", "finish_within", "tenant")
_NONE: Final = "none"
_LONGEST_DAY: Final = len("2026-12-31")
"""A longer text says a time of the day, too."""


def _choice(name: str, *values: str, help: str) -> Callable[[F], F]:  # noqa: A002 - click's word
    return click.option(name, type=click.Choice(values), metavar="|".join(values), help=help)


def _duration_or_none(value: str) -> str:
    return value if value == _NONE else duration(value)


_RULE_OPTIONS: Final = (
    click.option("--cron", metavar="EXPRESSION", help="Five fields, such as '0 6 * * mon-fri', or @daily."),
    click.option("--every", type=duration, metavar="DURATION", help="Again after 90s, 15m or 2h."),
    _choice("--since", *get_args(Since), help="With --every: by the clock, or since the job before has ended."),
    click.option("--at", multiple=True, metavar="TIME", help="Once, then; may be given several times."),
    click.option("--days", metavar="TEXT", help="In words: 'every 2nd tuesday', 'last business day of the month'."),
    click.option("--time", multiple=True, metavar="HH:MM", help="With --days: when; may be given several times."),
    click.option("--timezone", metavar="ZONE", help="The zone of these times, such as Europe/Berlin; else UTC."),
    click.option("--country", metavar="CODE", help="Its holidays are no business days: DE, or DE-BY for a part."),
    click.option("--weekend", metavar="DAYS", help="What is free each week; 'sat,sun' if not said."),
    click.option("--closed", multiple=True, metavar="DATE", help="No business day; may be given several times."),
    click.option("--open", multiple=True, metavar="DATE", help="A business day, whatever else says."),
    click.option("--ics", type=click.Path(exists=True, dir_okay=False), metavar="FILE", help="Its days are closed."),
    click.option("--hours", metavar="HH:MM-HH:MM", help="Tick only within these hours."),
    _choice("--on-closed", *get_args(OnClosed), help="What a tick on a day off does."),
    click.option("--start", metavar="TIME", help="Tick from then on."),
    click.option("--end", metavar="TIME", help="Tick until then."),
)
_TICK_OPTIONS: Final = (
    _choice("--catch-up", *get_args(CatchUp), help="Which ticks of a downtime are made up for."),
    click.option("--catch-up-limit", type=int, metavar="N", help="With --catch-up all: the latest N of them."),
    click.option("--grace", type=duration, metavar="DURATION", help="How late a tick still counts as on time."),
    _choice("--overlap", *get_args(Overlap), help="What a tick does while a job runs."),
    click.option("--jitter", type=_duration_or_none, metavar="DURATION", help="Spread the jobs over this time."),
    click.option(
        "--finish-within", type=_duration_or_none, metavar="DURATION", help="A job that takes longer is overdue."
    ),
)
_JOB_OPTIONS: Final = (
    click.option("--queue", metavar="NAME", help="The queue; else the task's.", shell_complete=complete_queues),
    click.option("--priority", metavar="PRIORITY", help="-100 to 100, or critical, high, normal, low, background."),
    click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag; may be given several times."),
    click.option("--tenant", metavar="NAME", help="The owner."),
)

args_option: Final = click.option(
    "--args",
    "payload",
    type=json_value,
    metavar="JSON",
    help="An array is the positional arguments, an object the keyword ones, anything else one argument.",
)


def rule_options(command: F) -> F:
    """Give a command what says when a schedule ticks; `rule_of` takes it out of its options."""
    return _given(command, _RULE_OPTIONS)


def schedule_options(command: F) -> F:
    """Give a command what says when a schedule ticks, what a tick does, and with which job."""
    return _given(command, (*_RULE_OPTIONS, *_TICK_OPTIONS, *_JOB_OPTIONS))


def rule_of(options: dict[str, Any], zone: str = "UTC") -> dict[str, Any]:
    """Return the arguments of `recurrence_of` that were given, a calendar among them.

    Times without a zone are those of `--timezone`, else of `zone`. Raises `ScheduleError` for a wrong calendar or zone.
    """
    said = {name: _plain(name, options[name]) for name in _RULE if options[name]}
    clocks = zone_of(options["timezone"] or zone)
    if options["at"]:
        said["at"] = [moment_in("--at", one, clocks) for one in options["at"]]
    for name in ("start", "end"):
        if said.get(name) is not None:
            said[name] = moment_in(f"--{name}", said[name], clocks)
    if said.get("end") is not None and len(options["end"]) <= _LONGEST_DAY:
        said["end"] += timedelta(days=1, microseconds=-1)  # a day without a time is the whole of it
    calendar = _calendar(options)
    return said if calendar is None else {**said, "calendar": calendar}


def ticks_of(options: dict[str, Any]) -> dict[str, Any]:
    """Return what was said of ticks, as `app.schedules` takes it."""
    return {name: _plain(name, options[name]) for name in _TICKS if options[name] is not None}


def job_of(options: dict[str, Any]) -> dict[str, Any]:
    """Return what was said of the jobs, as `app.schedules.update` takes it."""
    said = {name: _plain(name, options[name]) for name in ("queue", "tenant") if options[name] is not None}
    if options["priority"]:
        said["priority"] = priority(options["priority"])
    return {**said, "tags": list(options["tags"])} if options["tags"] else said


def is_rule(options: dict[str, Any]) -> bool:
    """Tell whether the options say a rule of their own, and not only something of one."""
    return any(options[name] for name in _KINDS)


def _given(command: F, options: tuple[Callable[[F], F], ...]) -> F:
    for option in reversed(options):
        command = option(command)
    return command


def _plain(name: str, value: Any) -> Any:
    if value == _NONE and name in _MAY_BE_NONE:
        return 0 if name == "jitter" else None
    return list(value) if name == "time" else value


def moment_in(option: str, text: str, clocks: ZoneInfo) -> datetime:
    """Return the time that an option says; one without a zone is what clocks show there."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        msg = f"Invalid value for '{option}': {text!r} is not an ISO 8601 time such as 2026-12-24T18:00"
        raise click.UsageError(msg, click.get_current_context()) from None
    return when if when.tzinfo is not None else when.replace(tzinfo=clocks)


def _calendar(options: dict[str, Any]) -> Calendar | None:
    said = {name: options[name] for name in _CALENDAR if options[name]}
    for name in said.keys() & {"country", "weekend"}:
        said[name] = [one.strip() for one in said[name].split(",")]
    if options["ics"]:
        return Calendar.from_ics(options["ics"], **said)
    return Calendar(**said) if said else None
