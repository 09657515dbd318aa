"""The dead man's switch: by when a job should have completed, and whether one has.

A schedule with `finish_within` expects of each tick that its job, or that of a later tick, completes within that time.
One of action `check` expects by each tick that some job of its task has completed since the tick before. All of it
follows from what is stored and from the time, so that whoever looks comes to the same answer: the leader, which writes
down what has changed and tells of it, and the doctor, when there is no leader that would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

import msgspec

from lineshaft.clock import SECOND
from lineshaft.errors import ScheduleError
from lineshaft.features.schedules.definition import read_definition
from lineshaft.store.queries import Statements

if TYPE_CHECKING:
    from lineshaft.engines.base import Tx
    from lineshaft.features.schedules.definition import Definition
    from lineshaft.recurrence import Recurrence

SQL: Final = Statements("overdue", "lineshaft.features.schedules")

_LEEWAY: Final = SECOND
"""So much later it is judged: what completed in time may not be committed at that very instant."""


class Watched(Protocol):
    """What the switch reads of a schedule's row; instants in microseconds since the epoch."""

    @property
    def updated_at(self) -> int:
        """When it was created, changed, resumed or declared again: what it says holds from then on."""
        ...

    @property
    def removed_at(self) -> int | None:
        """Since when no code declares it."""

    @property
    def paused_at(self) -> int | None:
        """Since when it is paused."""

    @property
    def succeeded_at(self) -> int | None:
        """When a job last completed."""

    @property
    def succeeded_tick(self) -> int | None:
        """The latest tick whose job completed."""

    @property
    def overdue_at(self) -> int | None:
        """Since when it has been found overdue."""


class Expected(NamedTuple):
    """What is expected next: of which tick, and by when."""

    tick: int
    until: int


class Verdict(NamedTuple):
    """What the switch says of a schedule at some moment."""

    overdue_at: int | None
    """Since when a job should have completed that has not; None: all is well, or nothing is expected."""
    look_at: int | None
    """When to ask again, if nothing happens before; None: never."""
    change: Literal["overdue", "recovered"] | None
    """What is to be told, compared with what was found before."""


class Suspect(NamedTuple):
    """A schedule that may be overdue, as far as the switch reads it."""

    name: str
    declared: str
    overrides: str | None
    updated_at: int
    removed_at: int | None
    paused_at: int | None
    succeeded_at: int | None
    succeeded_tick: int | None
    overdue_at: int | None


class Late(NamedTuple):
    """A schedule that is overdue; instants in microseconds since the epoch."""

    name: str
    task: str
    is_check: bool
    """Whether any job of the task would do, by action `check`."""
    tick: int
    """The tick whose job should have completed; of a check, the one by which."""
    since: int
    succeeded_at: int | None


class LastTick(NamedTuple):
    """What became of a tick."""

    at: int
    state: int
    job: str | None
    note: str | None


def expected(definition: Definition, row: Watched) -> Expected | None:
    """Return what is expected next, maybe in the past; None when nothing is."""
    if row.paused_at is not None or row.removed_at is not None:
        return None
    recurrence, within = definition.recurrence, definition.finish_within
    if definition.action == "check":
        return _next_check(recurrence, max(row.updated_at, row.succeeded_at or 0))
    if within is None:
        return None
    done = _done(definition, row)
    is_new = done is None or done < row.updated_at
    tick = recurrence.first(row.updated_at) if is_new else recurrence.after(done or 0)
    return None if tick is None else Expected(tick, tick + within)


def judge(definition: Definition, row: Watched, now: int) -> Verdict:
    """Decide whether a schedule is overdue, and what of that is news.

    A pause and any change of the schedule begin the watch anew, and take `overdue_at` away themselves: nobody is told
    that it had recovered.
    """
    awaited, was_overdue = expected(definition, row), row.overdue_at is not None
    if awaited is None:
        return Verdict(None, None, None)
    if awaited.until + _LEEWAY <= now:
        return Verdict(awaited.until, None, None if was_overdue else "overdue")
    return Verdict(None, awaited.until + _LEEWAY, "recovered" if was_overdue else None)


def find_late(tx: Tx, now: int) -> tuple[list[Late], list[str]]:
    """Return the schedules that are overdue, whether or not a leader has noticed, the longest first.

    With them the names of those that this version cannot read.
    """
    late: list[Late] = []
    unreadable: list[str] = []
    for row in map(Suspect._make, tx.run(SQL.suspects, {"now": now})):
        try:
            definition = read_definition(row.declared, row.overrides)
            since = judge(definition, row, now).overdue_at
        except (msgspec.MsgspecError, ScheduleError):
            unreadable.append(row.name)
            continue
        task, within = definition.task_name, definition.finish_within or 0
        if since is not None and task is not None:
            late.append(Late(row.name, task, definition.action == "check", since - within, since, row.succeeded_at))
    return sorted(late, key=lambda one: (one.since, one.name)), unreadable


def last_tick(tx: Tx, late: Late) -> LastTick | None:
    """Return the latest tick by the clock from the one on that is overdue; None when there was none."""
    rows = tx.run(SQL.last_tick, {"schedule": late.name, "since": late.tick})
    return LastTick._make(rows[0]) if rows else None


def _next_check(recurrence: Recurrence, since: int) -> Expected | None:
    """Return the end of the first whole interval behind an instant: in the one that it lies in, enough has happened."""
    begin = recurrence.after(since)
    tick = None if begin is None else recurrence.after(begin)
    return None if tick is None else Expected(tick, tick)


def _done(definition: Definition, row: Watched) -> int | None:
    """Return what the next tick is counted from: a tick, but where all depends on when a job completed, that time."""
    by_time = definition.action == "check" or definition.recurrence.is_after_finish
    return row.succeeded_at if by_time else row.succeeded_tick
