"""A queue that somebody paused and forgot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote
from typing import ClassVar, Final, NamedTuple

from lineshaft.clock import DAY, SECOND
from lineshaft.doctor.ahead import ready_jobs
from lineshaft.doctor.ailment import Ailment, Finding, Patient, Remedy
from lineshaft.doctor.wording import counted, span
from lineshaft.store.queries import Statements

SQL: Final = Statements("long_pause", "lineshaft.doctor")


class _Pause(NamedTuple):
    """A row of `paused_until`."""

    queue: str
    since: int
    by: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class LongPause(Ailment):
    """A queue has been paused for `longest` microseconds, and jobs wait in it."""

    longest: int = DAY

    name: ClassVar[str] = "paused-for-long"
    remedies: ClassVar = {
        "queue": Remedy(
            "Somebody paused the queue, or a restore did, and nobody resumed it: its jobs wait, and may run into "
            "deadlines.",
            "lineshaft queues resume QUEUE",
            "Where the jobs are of no use any more, purge the queue before it is resumed; cap what may pile up with a "
            "depth limit.",
        )
    }

    @property
    def title(self) -> str:
        """How people call it."""
        return f"a queue paused for more than {span(self.longest)}"

    def look(self, patient: Patient) -> Iterator[Finding]:
        """Yield each queue."""
        rows = patient.run(SQL.paused_until, until=patient.now() - self.longest)
        paused = {one.queue: one for one in map(_Pause._make, rows)}
        for waiting in ready_jobs(patient) if paused else ():
            if waiting.queue in paused:
                yield self._finding(patient, paused[waiting.queue], waiting.jobs)

    def _finding(self, patient: Patient, pause: _Pause, jobs: int) -> Finding:
        age = patient.now() - pause.since
        by = "" if pause.by is None else f" by {pause.by!r}"
        reason = "" if pause.reason is None else f" ({pause.reason})"
        symptom = f"queue {pause.queue!r} has been paused{by} for {span(age)}{reason}; {counted(jobs)} in it due"
        facts = {
            "queue": pause.queue, "seconds": age / SECOND, "jobs": jobs, "by": pause.by, "reason": pause.reason,
        }  # fmt: skip
        return self.remedies["queue"].finding(self.name, patient, symptom, facts, QUEUE=quote(pause.queue))
