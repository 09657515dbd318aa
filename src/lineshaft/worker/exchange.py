"""The transactions of a worker's rounds: outcomes are written, jobs are claimed, and their gates decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lineshaft.clock import SECOND
from lineshaft.engines.base import Engine, Tx
from lineshaft.transitions import Transition
from lineshaft.worker.admission import Admission
from lineshaft.worker.admitted import Admitted, Step
from lineshaft.worker.claimer import Claimer
from lineshaft.worker.departure import Departure
from lineshaft.worker.finisher import Batch, Finisher

# A queue that was looked through for jobs to be parked, with little to show for it, is left alone for so long.
_THIN_AGAIN: Final = SECOND
_WORTH_IT: Final = 100


class Exchange:
    """What the store thread does in the store, whatever it decides to do when."""

    def __init__(self, engine: Engine, claimer: Claimer, finisher: Finisher, admission: Admission) -> None:
        self._engine, self._claimer, self._finisher, self._admission = engine, claimer, finisher, admission
        self._crowded: dict[str, None] = {}
        self._thin_after: dict[str, int] = {}

    @property
    def is_pressed(self) -> bool:
        """Whether there is a crowd in a queue that nobody can let start, in the way of others."""
        return bool(self._crowded)

    def claim(self, now: int) -> Admitted:
        """Claim jobs, with nothing to write besides; gates are locked only where jobs may have some."""
        if self._admission.is_in_play(now):
            return self._note(self._engine.write(lambda tx: self._claim(tx, now)), now)
        claimed = self._claimer.claim_alone(now)
        if not self._admission.concerns(claimed):
            return Admitted(claimed)
        # The first that bring limits of their own: held without a place in their gates until here, but not started.
        return self._note(self._engine.write(lambda tx: self._admission.admit(tx, claimed, (), now)), now)

    def write_and_claim(self, batch: Batch, now: int) -> tuple[list[Transition], Admitted]:
        """Write a batch and claim, in one transaction: places that become free are there for those who come."""

        def exchange(tx: Tx) -> tuple[list[Transition], Admitted]:
            written = self._finisher.write(tx, batch, now)
            return written, self._claim(tx, now, batch, batch.departed(written))

        written, admitted = self._engine.write(exchange)
        return written, self._note(admitted, now)

    def write(self, batch: Batch) -> list[Transition]:
        """Write a batch beside the claims."""
        now = self._engine.clock.now()

        def write(tx: Tx) -> tuple[list[Transition], Step]:
            written = self._finisher.write(tx, batch, now)
            return written, self._admission.depart(tx, batch.departed(written), now)

        written, step = self._engine.write(write)
        self._admission.settle(step)
        return written

    def look_at_gates(self, now: int) -> None:
        """Look at gates whose time has come, and get a crowd out of the way of others."""
        if self._admission.is_due(now):
            self._admission.settle(self._engine.write(lambda tx: self._admission.open_due(tx, now)))
        if self._crowded:
            queue = next(iter(self._crowded))
            count, step = self._engine.write(lambda tx: self._admission.thin(tx, queue, now))
            self._admission.settle(step)
            if count < _WORTH_IT:
                self._thin_after[queue] = now + _THIN_AGAIN
                del self._crowded[queue]

    def _claim(self, tx: Tx, now: int, batch: Batch | None = None, departures: Sequence[Departure] = ()) -> Admitted:
        claimed = self._claimer.claim(tx, now, batch)
        return self._admission.admit(tx, claimed, departures, now, self._claimer.room_beside)

    def _note(self, admitted: Admitted, now: int) -> Admitted:
        self._admission.settle(admitted.step)
        for queue in admitted.crowded:
            if self._claimer.queues[queue].may_have_jobs and self._thin_after.get(queue, 0) <= now:
                self._crowded[queue] = None
        return admitted
