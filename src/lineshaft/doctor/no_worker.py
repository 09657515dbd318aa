"""Jobs wait in a queue that no worker takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote
from typing import ClassVar, Final

from lineshaft.clock import MINUTE, SECOND
from lineshaft.doctor.ahead import Waiting, ready_jobs
from lineshaft.doctor.ailment import Ailment, Finding, Patient, Remedy
from lineshaft.doctor.crew import served_queues
from lineshaft.doctor.wording import MOST, counted, span
from lineshaft.store.queries import Statements

SQL: Final = Statements("no_worker", "lineshaft.doctor")


@dataclass(frozen=True, slots=True)
class NoWorker(Ailment):
    """For `waiting` microseconds a job has been due in a queue that is not paused and that no live worker serves."""

    waiting: int = MINUTE

    name: ClassVar[str] = "no-worker"
    remedies: ClassVar = {
        "queue": Remedy(
            "No live worker takes jobs of this queue: none runs, or those that run were started for other queues.",
            "lineshaft --app MODULE:NAME worker --queues QUEUE",
            "Have the service manager start a worker that serves it; where nobody should, purge the queue and mend the "
            "queue= that put jobs there.",
        )
    }

    @property
    def title(self) -> str:
        """How people call it."""
        return f"a queue without a worker for more than {span(self.waiting)}"

    def look(self, patient: Patient) -> Iterator[Finding]:
        """Yield each queue."""
        until = patient.now() - self.waiting
        closed = served_queues(patient) | {row[0] for row in patient.run(SQL.paused_queues)}
        for one in self._merged([*ready_jobs(patient), *self._not_promoted(patient, until)]):
            if one.queue not in closed and one.since <= until:
                yield self._finding(patient, one)

    @staticmethod
    def _not_promoted(patient: Patient, until: int) -> list[Waiting]:
        """Return what is due and was not made ready: any worker would have done it."""
        return [Waiting(*row) for row in patient.run(SQL.overdue, until=until, most=MOST)]

    @staticmethod
    def _merged(parts: list[Waiting]) -> list[Waiting]:
        merged: dict[str, Waiting] = {}
        for one in parts:
            known = merged.get(one.queue, one._replace(jobs=0))
            merged[one.queue] = Waiting(one.queue, known.jobs + one.jobs, min(known.since, one.since))
        return [merged[queue] for queue in sorted(merged)]

    def _finding(self, patient: Patient, one: Waiting) -> Finding:
        age = patient.now() - one.since
        symptom = f"{counted(one.jobs)} of queue {one.queue!r} due for up to {span(age)}: no worker serves it"
        facts = {"queue": one.queue, "jobs": one.jobs, "seconds": age / SECOND}
        return self.remedies["queue"].finding(self.name, patient, symptom, facts, QUEUE=quote(one.queue))
