"""When something happens again and again."""

from __future__ import annotations

from functools import cached_property, lru_cache

from msgspec import Struct

from lineshaft.recurrence.calendar import Calendar, minutes_of
from lineshaft.recurrence.cron import read_cron
from lineshaft.recurrence.dates import Dates
from lineshaft.recurrence.days import FIRST_MONDAY, WordedDays, read_days
from lineshaft.recurrence.intervals import Aligned, FinishWalk, IntervalWalk, MovedWalk
from lineshaft.recurrence.opening import Opening
from lineshaft.recurrence.rules import Cron, Days, Every, Once, OnClosed, Rule
from lineshaft.recurrence.walks import FixedWalk, OnceWalk, Walk, WildWalk, moved_instants
from lineshaft.recurrence.words import in_words
from lineshaft.recurrence.zones import wall_of, zone_of


class Recurrence(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, dict=True):
    """A rule with its zone, its calendar and its bounds: says when the next tick is.

    Ticks and bounds are microseconds since the epoch; both bounds are included. A recurrence is its own JSON form;
    fields and rules that this version does not know fail to decode. What it needs of this machine, such as its
    zone's data, is looked up at the first question and raises `ScheduleError` when it is missing.
    """

    rule: Rule
    timezone: str = "UTC"
    calendar: Calendar | None = None
    on_closed: OnClosed = "skip"
    start: int | None = None
    end: int | None = None

    @property
    def is_after_finish(self) -> bool:
        """Whether ticks are counted from the end of the last job."""
        return isinstance(self.rule, Every) and self.rule.since == "finish"

    def after(self, instant: int) -> int | None:
        """Return the first tick strictly after an instant, None when there is none any more.

        Since the finish: the tick that follows a job that ended at this instant.
        """
        tick = self._walk.after(instant if self.start is None else max(instant, self.start - 1))
        return tick if tick is not None and (self.end is None or tick <= self.end) else None

    def first(self, now: int) -> int | None:
        """Return the first tick of all for a schedule that begins now: since the finish, now or at its start."""
        if not self.is_after_finish:
            return self.after(now)
        opening = self._opening
        begin = now if self.start is None else max(now, self.start)
        tick = begin if opening is None else opening.opens(begin)
        return tick if tick is not None and (self.end is None or tick <= self.end) else None

    def between(self, after: int, until: int, limit: int) -> list[int]:
        """Return the ticks in `(after, until]`, the first `limit` of them; none since the finish."""
        ticks: list[int] = []
        tick = None if self.is_after_finish else self.after(after)
        while tick is not None and tick <= until and len(ticks) < limit:
            ticks.append(tick)
            tick = self.after(tick)
        return ticks

    def in_words(self) -> str:
        """Return what a person would say: `"every weekday at 06:00 Berlin time"`."""
        return in_words(self)

    @cached_property
    def _walk(self) -> Walk:
        match self.rule:
            case Cron(expression):
                return self._cron_walk(expression)
            case Days(days, times):
                return FixedWalk(zone_of(self.timezone), self._worded(days), self._open_minutes(_minutes(times)))
            case Once(times):
                return OnceWalk(moved_instants(zone_of(self.timezone), times, self.calendar, self.on_closed))
            case Every(interval, "finish"):
                return FinishWalk(interval, self._opening)
            case Every(interval, _):
                return self._interval_walk(interval)

    def _cron_walk(self, expression: str) -> Walk:
        fields = read_cron(expression)
        dates = Dates(fields, self.calendar, self.on_closed)
        minutes = self._open_minutes(_products(fields.hours, fields.minutes))
        return (WildWalk if fields.is_wild else FixedWalk)(zone_of(self.timezone), dates, minutes)

    def _worded(self, days: str) -> Dates:
        anchor = FIRST_MONDAY if self.start is None else wall_of(zone_of(self.timezone), self.start).date()
        return Dates(WordedDays(read_days(days), self.calendar, anchor), self.calendar, self.on_closed)

    def _open_minutes(self, minutes: tuple[int, ...]) -> tuple[int, ...]:
        if self.calendar is None or self.calendar.window is None:
            return minutes
        return tuple(minute for minute in minutes if self.calendar.is_within_hours(minute))

    def _interval_walk(self, interval: int) -> Walk:
        zone = zone_of(self.timezone)
        aligned = Aligned(zone, interval, self.start)
        if self.calendar is not None and self.on_closed in {"next", "previous"}:
            return MovedWalk(zone, aligned, self.calendar, self.on_closed)
        return IntervalWalk(aligned, self._opening)

    @property
    def _opening(self) -> Opening | None:
        if self.calendar is None:
            return None
        return Opening(zone_of(self.timezone), self.calendar, closes_days=self.on_closed != "run")


@lru_cache(4_096)
def _products(hours: tuple[int, ...], minutes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(hour * 60 + minute for hour in hours for minute in minutes)


def _minutes(times: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(sorted({minutes_of(time) for time in times}))
