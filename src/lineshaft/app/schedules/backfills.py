"""`app.schedules.backfill`: the ticks of a past range, enqueued on purpose."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from lineshaft.app.crossing import twin
from lineshaft.app.schedules.found import definition_of, found, no_schedule
from lineshaft.clock import to_datetime, to_instant
from lineshaft.counts import checked_count
from lineshaft.errors import BackfillNotFound, ScheduleError
from lineshaft.features.schedules import backfill as store
from lineshaft.features.schedules.backfill import MOST_AT_ONCE, BackfillRow, BackfillState, check_backfill
from lineshaft.features.schedules.records import get_schedule
from lineshaft.ids import new_id

if TYPE_CHECKING:
    from lineshaft.app.store import Store
    from lineshaft.engines.base import Tx

_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Backfill:
    """A backfill, as it was when it was read; times are aware, in UTC."""

    id: str
    schedule: str
    since: datetime
    """The first instant whose ticks belong to it."""
    until: datetime
    """The first that does not any more."""
    at_most: int
    """How many of its jobs may be unfinished at once."""
    only_missing: bool
    """Whether it leaves out ticks that have a job already."""
    state: BackfillState
    """`running`, `done` (all of its jobs have ended) or `cancelled`."""
    next_at: datetime | None
    """It has come up to this tick; None: all of them are enqueued."""
    enqueued: int
    """How many jobs it has enqueued."""
    unfinished: int
    """How many of those have not ended."""
    created_at: datetime
    ended_at: datetime | None


class BackfillCalls:
    """What `app.schedules` knows of backfills."""

    _store: Store

    def backfill(
        self, name: str, since: datetime, until: datetime | None = None, *, at_most: int = 1, only_missing: bool = False
    ) -> Backfill:
        """Have the jobs of a schedule's ticks from `since` up to, and without, `until` enqueued, in order.

        Both are aware and past; without `until` it is now. No more than `at_most` of the jobs, 10,000 at most, are
        unfinished at once; with `only_missing`, ticks that have a job already are left out. A schedule that is paused,
        removed from the code or over can be backfilled as well. The leader does the work, one job a tick whatever is
        killed meanwhile.

        Raises `ScheduleError` when the range holds no tick or more than 100,000, or the schedule enqueues no jobs.
        """
        checked_count("at_most", at_most, MOST_AT_ONCE, error=ScheduleError)
        now = self._store.engine.clock.now()
        begin, end = to_instant(since, "since"), now if until is None else to_instant(until, "until")
        row = found(self._store.read(lambda tx: get_schedule(tx, name)), name)
        first = check_backfill(name, definition_of(row), begin, end, now)
        wanted = BackfillRow(new_id(), name, begin, end, at_most, only_missing, first, 0, now, None)

        def write(tx: Tx, _: bool) -> None:  # noqa: FBT001 - the store's port
            if not store.insert_backfill(tx, wanted):
                raise no_schedule(name)

        self._store.write(write)
        return _backfill(wanted)

    def backfills(self, name: str, *, limit: int = _SHOWN) -> list[Backfill]:
        """Return a schedule's backfills, the latest first; those that ended are kept for 30 days."""
        checked_count("limit", limit)

        def find(tx: Tx) -> list[BackfillRow]:
            found(get_schedule(tx, name), name)
            return store.list_backfills(tx, name, limit=limit)

        return [_backfill(row) for row in self._store.read(find)]

    def cancel_backfill(self, backfill: str) -> Backfill:
        """Have a backfill, named by its id, enqueue no more, and return it; its jobs that are stored go on.

        One that is over stays as it is. Raises `BackfillNotFound`.
        """

        def write(tx: Tx, _: bool) -> BackfillRow | None:  # noqa: FBT001 - the store's port
            store.cancel_backfill(tx, backfill, now=self._store.engine.clock.now())
            return store.get_backfill(tx, backfill)

        row = self._store.write(write)
        if row is None:
            msg = f"there is no backfill {backfill!r}; 'lineshaft schedules backfills NAME' lists those of a schedule"
            raise BackfillNotFound(msg)
        return _backfill(row)

    abackfill = twin(backfill)
    abackfills = twin(backfills)
    acancel_backfill = twin(cancel_backfill)


def _backfill(row: BackfillRow) -> Backfill:
    return Backfill(
        id=row.id,
        schedule=row.schedule,
        since=to_datetime(row.since),
        until=to_datetime(row.until),
        at_most=row.at_most,
        only_missing=row.only_missing,
        state=row.state,
        next_at=None if row.next_at is None else to_datetime(row.next_at),
        enqueued=row.enqueued,
        unfinished=row.unfinished,
        created_at=to_datetime(row.created_at),
        ended_at=None if row.ended_at is None else to_datetime(row.ended_at),
    )
