"""Closed days out of an iCalendar file (RFC 5545), read by the package `icalendar`, repeated by `dateutil`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, tzinfo
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lineshaft.clock import to_datetime, wall_clock
from lineshaft.errors import ScheduleError
from lineshaft.recurrence.zones import ONE_DAY, zone_of

if TYPE_CHECKING:
    from icalendar import Event

_UNTIL: Final = re.compile(r"UNTIL=[^;]+")
_YEARS_AHEAD: Final = range(101)
_LONGEST_EVENT: Final = timedelta(days=366)
_TOO_OFTEN: Final = ("SECONDLY", "MINUTELY", "HOURLY")


def closed_days(path: str | PathLike[str], years: int, timezone: str | None = None) -> list[date]:
    """Return each day that an event of the file touches; events that are cancelled touch none.

    Repeated events are followed up to the end of the year that lies `years` ahead, and from last year on. Times with a
    zone are taken as they are written, or as the clocks of `timezone` show them. Raises `ScheduleError` when the file
    cannot be read, holds no event, or an event of it cannot be understood.
    """
    zone = None if timezone is None else zone_of(timezone)
    if years not in _YEARS_AHEAD:
        raise ScheduleError(f"calendar: years={years!r} must be a whole number from 0 to {_YEARS_AHEAD[-1]}")
    this_year = to_datetime(wall_clock()).year
    span = datetime(this_year - 1, 1, 1), datetime(this_year + years, 12, 31, 23, 59)  # noqa: DTZ001 - wall times
    days: set[date] = set()
    events = _events(path)
    for event in events:
        if str(event.get("STATUS", "")).upper() == "CANCELLED":
            continue  # it closes nothing, and takes away the repetition that it stands for
        try:
            own = zone or _zone_of(event)
            days.update(_days(event, _moved(event, events, own), span, own))
        except (ValueError, TypeError, LookupError) as error:
            name = str(event.get("SUMMARY") or event.get("UID") or "one without a name")
            raise ScheduleError(f"calendar: event {name!r} of {path} cannot be understood: {_reason(error)}") from error
    return sorted(days)


def _events(path: str | PathLike[str]) -> list[Event]:
    import icalendar

    try:
        calendars = icalendar.Calendar.from_ical(Path(path).read_bytes(), multiple=True)
    except OSError as error:
        raise ScheduleError(f"calendar: {path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ScheduleError(f"calendar: {path} is no iCalendar file: {' '.join(str(error).split())}") from error
    events = [event for calendar in calendars for event in calendar.events]
    if not events:
        raise ScheduleError(f"calendar: {path} holds no event (VEVENT); give a file with the closed days as events")
    return events


def _reason(error: Exception) -> str:
    # Over a repetition that is none the packages fall with errors of their own that say little.
    return " ".join(str(error).split()) if isinstance(error, ValueError) else "its repetition (RRULE) is no rule"


def _zone_of(event: Event) -> tzinfo | None:
    """Return the zone in which an event is written: its last repetition and its exceptions may be written in UTC."""
    return event.start.tzinfo if isinstance(event.start, datetime) else None


def _moved(event: Event, events: list[Event], zone: tzinfo | None) -> set[datetime]:
    """Return the repetitions that another event of the file replaces."""
    if "RECURRENCE-ID" in event:
        return set()
    others = (one for one in events if "RECURRENCE-ID" in one and one.get("UID") == event.get("UID"))
    return {_wall(one.decoded("RECURRENCE-ID"), zone) for one in others}


def _days(event: Event, moved: set[datetime], span: tuple[datetime, datetime], zone: tzinfo | None) -> Iterator[date]:
    begin, end = _wall(event.start, zone), _wall(event.end, zone)
    length = max(end - begin, timedelta(microseconds=1))
    if length > _LONGEST_EVENT:
        raise ValueError(f"it lasts {length.days:,} days, and at most {_LONGEST_EVENT.days} are closed in a row")
    for start in _starts(event, begin, span, zone) - moved:
        day, last = start.date(), (start + length - timedelta(microseconds=1)).date()
        while day <= last:
            yield day
            day += ONE_DAY


def _starts(event: Event, begin: datetime, span: tuple[datetime, datetime], zone: tzinfo | None) -> set[datetime]:
    starts = {begin} | {_wall(start, zone) for start, _ in event.rdates}
    for rule in event.rrules:
        starts.update(_repeated(rule, begin, span, zone))
    return starts - {_wall(one, zone) for one in event.exdates}


def _repeated(rule: Any, begin: datetime, span: tuple[datetime, datetime], zone: tzinfo | None) -> list[datetime]:
    from dateutil.rrule import rrulestr  # type: ignore[import-untyped]

    if rule["FREQ"][0] in _TOO_OFTEN:
        raise ValueError(f"it repeats {rule['FREQ'][0]}, which is more often than daily")
    if any(interval < 1 for interval in rule.get("INTERVAL", ())):
        raise ValueError("the INTERVAL of its repetition is no number from 1 up")
    text = rule.to_ical().decode()
    if "UNTIL" in rule:
        until = rule["UNTIL"][0]
        last = _wall(until, zone) if isinstance(until, datetime) else datetime.combine(until, time.max)
        text = _UNTIL.sub(f"UNTIL={last:%Y%m%dT%H%M%S}", text)
    repeated: list[datetime] = rrulestr(text, dtstart=begin).between(*span, inc=True)
    return repeated


def _wall(when: date, zone: tzinfo | None) -> datetime:
    if not isinstance(when, datetime):
        return datetime.combine(when, time())
    return (when.astimezone(zone) if zone is not None and when.tzinfo is not None else when).replace(tzinfo=None)
