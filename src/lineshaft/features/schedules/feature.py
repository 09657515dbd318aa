"""Schedules as a feature: hears of the ends of their jobs, and gives the leader its duty."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from lineshaft.clock import DAY
from lineshaft.config import Retention
from lineshaft.feature import Duty, Ended, Feature, Office, Read, Write
from lineshaft.features.schedules.records import (
    Ending,
    delete_schedule,
    delete_ticks,
    list_schedules,
    note_ends,
    overgrown,
    prune_ticks,
)
from lineshaft.features.schedules.watchlist import Watchlist
from lineshaft.transitions import Stage

if TYPE_CHECKING:
    from lineshaft.engines.base import Tx

_KEPT: Final = 30 * DAY
_PAGE: Final = 100
_MARK: Final = '"schedule":['
"""`definition.SCHEDULE` as it is stored. The rules and all that belongs to them are imported by who needs them: a sixth
of what `import lineshaft` would take otherwise."""


class _Stored(msgspec.Struct, frozen=True):
    """The part of a job's stored options that is read here: schedule, run and tick."""

    schedule: tuple[str, str, int] | None = None


_decode: Final = msgspec.json.Decoder(_Stored).decode


class SchedulesFeature(Feature):
    """Has the leader enqueue the jobs of schedules; `features` are all of the app's, `retention` its own."""

    def __init__(self, features: Sequence[Feature], retention: Retention) -> None:
        self._features, self._retention = features, retention
        self._watchlist = Watchlist()

    @property
    def watched(self) -> frozenset[str]:
        """The tasks of which something is expected."""
        return self._watchlist.tasks

    def refresh(self, read: Read, now: int) -> None:
        """See every few seconds of which tasks something is expected."""
        self._watchlist.refresh(read, now)

    def after_completion(self, tx: Tx, tasks: Collection[str], now: int) -> None:
        """Note that what was expected of these tasks has happened."""
        self._watchlist.note_completed(tx, tasks, now)

    def after_finish(self, tx: Tx, ended: Sequence[Ended], now: int, *, is_certain: bool) -> None:  # noqa: ARG002 - noting an end twice is noting it once
        """Note which ticks have ended and call the leader, which decides what follows of it."""
        endings = list(_endings(ended))
        if endings:
            note_ends(tx, endings, now=now)

    def duties(self, office: Office) -> Sequence[Duty]:
        """Return the scheduler."""
        from lineshaft.features.schedules.scheduler import Scheduler

        return [Scheduler(office, self._features, self._retention)]

    def periodic(self, write: Write, now: int) -> None:
        """Delete ticks older than 30 days but the last 100 of each schedule, and schedules removed for so long."""
        from lineshaft.features.schedules.backfill import prune_backfills

        before = now - _KEPT
        after: str | None = ""
        while after is not None:
            page = write(partial(list_schedules, after=after, limit=_PAGE))
            for name in write(partial(overgrown, names=[row.name for row in page], before=before)):
                _until_none(write, partial(prune_ticks, name=name, before=before))
            for row in page:
                if row.removed_at is not None and row.removed_at < before:
                    _delete(write, row.name)
            after = page[-1].name if page else None
        write(partial(prune_backfills, before=before))


def _endings(ended: Sequence[Ended]) -> Iterator[Ending]:
    for job in ended:
        # Most stored options are about retries and timeouts: to look for the word is cheaper than to parse them.
        if _MARK not in job.options:
            continue
        try:
            stored = _decode(job.options).schedule
        except msgspec.MsgspecError:  # of another version: the leader sees by itself that the job has ended
            continue
        if stored is not None:
            name, run, at = stored
            yield Ending(name, at, run, job.id, job.stage is Stage.COMPLETED)


def _delete(write: Write, name: str) -> None:
    _until_none(write, partial(delete_ticks, name=name))
    write(partial(delete_schedule, name=name))


def _until_none(write: Write, operation: Callable[[Tx], int]) -> None:
    """Do it in transactions of their own until it finds nothing more."""
    while write(operation):
        pass
