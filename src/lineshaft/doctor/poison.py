"""Jobs that take the process that runs them with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote
from typing import ClassVar, Final

from lineshaft.clock import DAY, HOUR
from lineshaft.doctor.ahead import queues_with_ready_jobs
from lineshaft.doctor.ailment import Ailment, Finding, Patient, Remedy
from lineshaft.doctor.wording import MOST, counted, span
from lineshaft.store.queries import Statements

SQL: Final = Statements("poison", "lineshaft.doctor")

_CAUSE: Final = (
    "Alone in a child process, it ended that process: a crash in C, too little memory, os._exit() or a signal."
)


@dataclass(frozen=True, slots=True)
class PoisonJobs(Ailment):
    """A job was lost while it ran alone: it waits for another try, or has died of it within `lately` microseconds."""

    lately: int = DAY

    name: ClassVar[str] = "poison-job"
    remedies: ClassVar = {
        "dead": Remedy(
            _CAUSE,
            "lineshaft jobs list --state dead --name TASK",
            "Look at one with 'lineshaft jobs show ID' and run its task by hand with its arguments; when it is mended, "
            "'lineshaft jobs retry ID', else 'lineshaft jobs delete ID'.",
        ),
        "waiting": Remedy(
            _CAUSE,
            "lineshaft jobs list --state queued --state running --state retrying --name TASK",
            "It is tried as often as its retry= allows, alone each time; cancel it to spare the tries. Mend the task, "
            'or give it more memory: runs_in="process" keeps it from neighbours from the first try on.',
        ),
    }

    @property
    def title(self) -> str:
        """How people call it."""
        return "poison jobs"

    def look(self, patient: Patient) -> Iterator[Finding]:
        """Yield each task, of jobs that wait and of jobs that are dead."""
        for kind, found in (("waiting", self._waiting(patient)), ("dead", self._dead(patient))):
            for task, count in sorted(found.items()):
                yield self._finding(patient, kind, task, count)

    @staticmethod
    def _waiting(patient: Patient) -> Counter[str]:
        found: Counter[str] = Counter(dict(patient.run(SQL.lost_soon, most=MOST)))
        for queue in queues_with_ready_jobs(patient):
            found.update(dict(patient.run(SQL.lost_ahead, queue=queue, most=MOST)))
        return found

    def _dead(self, patient: Patient) -> Counter[str]:
        return Counter(dict(patient.run(SQL.lost_lately, since=patient.now() - self.lately, most=MOST)))

    def _finding(self, patient: Patient, kind: str, task: str, count: int) -> Finding:
        lately = f"{self.lately // HOUR}h" if self.lately % HOUR == 0 else span(self.lately)
        state = "waits for another try" if kind == "waiting" else f"died of that within the last {lately}"
        symptom = f"{counted(count)} of task {task!r} ended each process that ran it, and {state}"
        facts = {"kind": kind, "task": task, "jobs": count}
        return self.remedies[kind].finding(self.name, patient, symptom, facts, TASK=quote(task))
