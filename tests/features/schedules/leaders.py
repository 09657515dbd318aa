"""A store whose clock the test moves, leaders that may die at any statement, and jobs that end as the test says."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lineshaft.clock import HOUR, ManualClock
from lineshaft.config import Retention
from lineshaft.feature import show
from lineshaft.features.schedules import backfill, records
from lineshaft.features.schedules.backfill import BackfillRow, check_backfill
from lineshaft.features.schedules.batch import Batch, work_off
from lineshaft.features.schedules.declared import new_row, timed
from lineshaft.features.schedules.definition import Definition, read_definition, stored_text
from lineshaft.features.schedules.feature import SchedulesFeature
from lineshaft.ids import new_id
from lineshaft.options import JobTemplate
from lineshaft.recurrence import Every, Recurrence
from lineshaft.store.claim import claim_jobs, promote_due
from lineshaft.store.finish import write_transitions
from lineshaft.transitions import Close, Complete, Reason, Stage
from lineshaft.worker.ended import ended_job
from tests.plugins.engines import ERROR, KEPT_UNTIL, NOW, WORKER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lineshaft.engines.base import Engine, Params, Row, Statement, Tx
    from lineshaft.feature import Feature
    from lineshaft.features.schedules.records import ScheduleRow, TickRow

JOB = JobTemplate("shop.report", "[[],{}]", "reports", 3)
HOURLY = Recurrence(Every(HOUR))
NAME = "hourly"


class KilledError(Exception):
    """The leader is no more."""


class MortalTx:
    """A transaction whose process dies before its n-th statement."""

    def __init__(self, tx: Tx, statements: int) -> None:
        self._tx, self._left, self.dialect = tx, statements, tx.dialect

    def run(self, statement: Statement, params: Params, rows: Sequence[Params] | None = None) -> list[Row]:
        """Run a statement, unless this is where it ends."""
        if self._left == 0:
            raise KilledError
        self._left -= 1
        return self._tx.run(statement, params, rows)


@dataclass
class Leaders:
    """One schedule on a store, and whoever leads there."""

    engine: Engine
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    features: list[Feature] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    """What leaders have done and committed, and so would tell."""

    def __post_init__(self) -> None:
        """Put the features there, as an app does."""
        self.features.append(SchedulesFeature(self.features, Retention()))

    @property
    def now(self) -> int:
        """The present instant."""
        return self.clock.now()

    def wait(self, micros: int) -> None:
        """Move the clock on."""
        self.clock.advance(timedelta(microseconds=micros))

    def create(self, definition: Definition, name: str = NAME) -> None:
        """Store a schedule."""
        row = new_row(name, "runtime", stored_text(definition), None, self.now)
        assert self.engine.write(lambda tx: records.insert_schedule(tx, row))

    def row(self, name: str = NAME) -> ScheduleRow:
        """The schedule as stored."""
        found = self.engine.read(lambda tx: records.get_schedule(tx, name))
        assert found is not None
        return found

    def change(self, name: str = NAME, **columns: Any) -> None:
        """Change the schedule as a person does."""
        row = self.row(name)
        held = read_definition(row.declared, row.overrides) if row.paused_at is None else None
        changed = timed(row._replace(**columns), held, self.now)
        assert self.engine.write(lambda tx: records.update_schedule(tx, changed))

    def define(self, definition: Definition, name: str = NAME) -> None:
        """Change what the schedule says."""
        self.change(name, declared=stored_text(definition))

    def lead(self) -> Batch:
        """Do one round as the leader."""
        batch = self.engine.write(lambda tx: work_off(tx, self.features, self.clock))
        self.batches.append(batch)
        return batch

    def die(self, statements: int) -> bool:
        """Do one round as a leader that dies before so many statements; False when it lives through it."""
        try:
            with self.engine.transaction() as tx:
                batch = work_off(MortalTx(tx, statements), self.features, self.clock)
        except KilledError:
            return True
        self.batches.append(batch)
        return False

    def lead_on(self) -> None:
        """Lead until nothing is due."""
        while (batch := self.lead()).next_due is not None and batch.next_due <= self.now:
            continue

    def changes(self) -> list[tuple[str, str]]:
        """What the dead man's switch has told so far, with the schedule."""
        return [
            (look.decision.change, look.row.name)
            for batch in self.batches
            for look in batch.looks
            if look.decision.change
        ]

    def ticks(self, run: str, name: str = NAME) -> list[TickRow]:
        """The ticks of a run, in order."""
        rows = self.engine.read(lambda tx: records.list_ticks(tx, name, limit=1_000))
        return [row for row in reversed(rows) if row.run == run]

    def end(self, *, is_success: bool = True) -> str | None:
        """Claim the first job that is due and end it as a worker does; return its id, None when there is none."""

        def write(tx: Tx) -> str | None:
            promote_due(tx, self.now)  # set back clocks make jobs wait for their time
            found = claim_jobs(tx, queue=JOB.queue, limit=1, worker=WORKER, now=self.now)
            if not found:
                return None
            held = found[0].held
            done = Complete(held, "null") if is_success else Close(held, Stage.DEAD, Reason.ERROR, ERROR)
            written = write_transitions(tx, [done], worker=WORKER, now=self.now, keep=lambda _: KEPT_UNTIL)
            assert written == [done]
            show(self.features, tx, [ended_job(found[0], done, self.now)], self.now)
            return held.id

        return self.engine.write(write)

    def backfill(
        self, since: int, until: int, *, at_most: int = 1, only_missing: bool = False, name: str = NAME
    ) -> str:
        """Begin a backfill as a person does and return its id."""
        row = self.row(name)
        definition = read_definition(row.declared, row.overrides)
        first = check_backfill(name, definition, since, until, self.now)
        wanted = BackfillRow(new_id(), name, since, until, at_most, only_missing, first, 0, self.now, None)
        assert self.engine.write(lambda tx: backfill.insert_backfill(tx, wanted))
        return wanted.id

    def get(self, run: str) -> BackfillRow:
        """A backfill as stored."""
        found = self.engine.read(lambda tx: backfill.get_backfill(tx, run))
        assert found is not None
        return found

    def cancel(self, run: str) -> bool:
        """Cancel a backfill."""
        return self.engine.write(lambda tx: backfill.cancel_backfill(tx, run, now=self.now))


def hours_before(count: int, now: int = NOW) -> int:
    """An instant so many hours before."""
    return now - count * HOUR
