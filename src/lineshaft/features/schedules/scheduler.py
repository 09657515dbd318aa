"""The leader's duty: looks at schedules when they are due, and sleeps until the next one is."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Final

from lineshaft.clock import SECOND, to_datetime
from lineshaft.config import Retention
from lineshaft.events import Event, ScheduleOverdue, ScheduleRecovered, ScheduleTicked
from lineshaft.feature import Duty, Feature, Office
from lineshaft.features.schedules.batch import Batch, Look, work_off
from lineshaft.features.schedules.chores import ensure_chores
from lineshaft.features.schedules.records import ScheduleRow, TickState, next_due
from lineshaft.store.control import cancel_jobs

_log = logging.getLogger("lineshaft.leader")

_LONGEST_SLEEP: Final = 10 * SECOND
_LOCKED_BY_ANOTHER: Final = SECOND // 50


class Scheduler(Duty):
    """Works off schedules that are due; `features` are all of the app's, in their order."""

    name = "schedules"

    def __init__(self, office: Office, features: Sequence[Feature], retention: Retention) -> None:
        self._office, self._engine, self._features = office, office.engine, features
        self._keep_cancelled = retention.cancelled
        self._next_due: int | None = None
        self._said_unreadable: set[tuple[str, int]] = set()

    @property
    def doing(self) -> str | None:
        """When it has to look at a schedule next."""
        at = self._next_due
        return None if at is None else f"next schedule due {to_datetime(at).isoformat(' ', 'seconds')}"

    def begin(self, now: int) -> None:
        """Have the store's housekeeping among the schedules."""
        self._next_due = None
        ensure_chores(self._engine, now)

    def step(self, now: int) -> int:
        """Work off up to 1,000 schedules that are due, and return when the next one is, 10 s from now at the latest."""
        self._next_due = self._engine.read(next_due)
        if self._next_due is None or self._next_due > now:
            return self._wake_at(now)
        batch: Batch = self._engine.write(lambda tx: work_off(tx, self._features, self._office.clock))
        self._next_due = batch.next_due
        self._complain(batch.unreadable)
        self._begin_chores(batch.looks)
        if self._cancel([job for look in batch.looks for job in look.decision.to_cancel]):
            self._next_due = now
        self._tell(batch)
        return self._wake_at(now) if batch.looks or batch.unreadable else now + _LOCKED_BY_ANOTHER

    def _wake_at(self, now: int) -> int:
        latest = now + _LONGEST_SLEEP
        return latest if self._next_due is None else min(self._next_due, latest)

    def _complain(self, unreadable: Sequence[tuple[ScheduleRow, Exception]]) -> None:
        for row, error in unreadable:
            if (row.name, row.version) not in self._said_unreadable:
                self._said_unreadable.add((row.name, row.version))
                message = (
                    "schedule %r cannot be read by this version and does not tick until a worker leads that can: %s"
                )
                _log.error(message, row.name, error)

    def _begin_chores(self, looks: Sequence[Look]) -> None:
        for look in looks:
            chore = look.definition.chore
            if look.decision.has_ticked and chore is not None and not self._office.begin_chore(chore):
                _log.warning("schedule %r is for a chore that this version does not have: %s", look.row.name, chore)

    def _cancel(self, ids: Sequence[str]) -> bool:
        """Cancel what a later tick does not tolerate beside it, and tell whether some of it is gone already.

        That tick waits until all of them have ended.

        Not in the transaction that found them: a worker that is about to end one of them would wait for the
        schedule's row, and we for the job's.
        """
        if not ids:
            return False
        now = self._office.clock.now()
        expires_at = now + self._keep_cancelled
        gone, _ = self._engine.write(
            lambda tx: cancel_jobs(tx, ids, now=now, expires_at=expires_at, features=self._features)
        )
        return bool(gone)

    def _tell(self, batch: Batch) -> None:
        subscribers = self._office.subscribers
        for event in _changes(batch):
            subscribers.tell(event)
        if subscribers.want(ScheduleTicked.kind):
            for tick in batch.ticks:
                state = TickState(tick.state).name.lower()
                subscribers.tell(ScheduleTicked(tick.schedule, to_datetime(tick.at), state, tick.job, tick.note))


def _changes(batch: Batch) -> Iterator[Event]:
    """Yield what the dead man's switch has to tell."""
    for look in batch.looks:
        before, since, task = look.row.overdue_at, look.decision.move.overdue_at, look.definition.task_name or ""
        if look.decision.change == "overdue" and since is not None:
            yield ScheduleOverdue(look.row.name, to_datetime(since), task)
        elif look.decision.change == "recovered" and before is not None:
            yield ScheduleRecovered(
                look.row.name, to_datetime(look.row.succeeded_at or before), task, to_datetime(before)
            )
