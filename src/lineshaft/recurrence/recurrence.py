"""When something happens again and again."""

from __future__ import annotations

from functools import cached_property, lru_cache

from msgspec import Struct

from lineshaft.recurrence.calendar import Calendar, minutes_of
from lineshaft.recurrence.cron import read_cron
from lineshaft.recurrence.dates import Dates, Month
from lineshaft.recurrence.days import FIRST_MONDAY, WordedDays, read_days
from lineshaft.recurrence.intervals import Aligned, IntervalWalk, MovedWalk
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
        return self._pause is not None

    def after(self, instant: int) -> int | None:
        """Return the first tick strictly after an instant, None when there is none any more.

        Since the finish: the tick that follows a job that ended at this instant.
        """
        if self._pause is not None:
            return self._from(instant + self._pause)
        return self._before_end(self._walk.after(instant if self.start is None else max(instant, self.start - 1)))

    def first(self, now: int) -> int | None:
        """Return the first tick of all for a schedule that begins now: since the finish, now or at its start."""
        return self.after(now) if self._pause is None else self._from(now)

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

    @property
    def _pause(self) -> int | None:
        return self.rule.interval if isinstance(self.rule, Every) and self.rule.since == "finish" else None

    def _from(self, instant: int) -> int | None:
        """Return the first moment from an instant on at which a job may run."""
        begin = instant if self.start is None else max(instant, self.start)
        opening = self._opening
        return self._before_end(begin if opening is None else opening.opens(begin))

    def _before_end(self, tick: int | None) -> int | None:
        return tick if tick is not None and (self.end is None or tick <= self.end) else None

    @cached_property
    def _walk(self) -> Walk:
        match self.rule:
            case Cron(expression):
                return self._cron_walk(expression)
            case Days(days, times):
                return self._days_walk(days, times)
            case Once(times):
                return OnceWalk(moved_instants(zone_of(self.timezone), times, self.calendar, self.on_closed))
            case Every(interval, _):
                return self._interval_walk(interval)

    def _cron_walk(self, expression: str) -> Walk:
        fields = read_cron(expression)
        minutes = _products(fields.hours, fields.minutes)
        return self._daily_walk(WildWalk if fields.is_wild else FixedWalk, fields, minutes)

    def _days_walk(self, days: str, times: tuple[str, ...]) -> Walk:
        anchor = FIRST_MONDAY if self.start is None else wall_of(zone_of(self.timezone), self.start).date()
        return self._daily_walk(FixedWalk, WordedDays(read_days(days), self.calendar, anchor), _minutes(times))

    def _daily_walk(self, kind: type[FixedWalk | WildWalk], months: Month, minutes: tuple[int, ...]) -> Walk:
        dates = Dates(months, self.calendar, self.on_closed)
        # With no time of day left, a walk would look through all days there are.
        kept = self._open_minutes(minutes)
        return kind(zone_of(self.timezone), dates, kept) if kept else OnceWalk(())

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

    @cached_property
    def _opening(self) -> Opening | None:
        if self.calendar is None:
            return None
        return Opening(zone_of(self.timezone), self.calendar, closes_days=self.on_closed != "run")


@lru_cache(4_096)
def _products(hours: tuple[int, ...], minutes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(hour * 60 + minute for hour in hours for minute in minutes)


def _minutes(times: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(sorted({minutes_of(time) for time in times}))
