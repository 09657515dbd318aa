"""Jobs wait for a worker that knows their task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from shlex import quote
from typing import ClassVar, Final, NamedTuple

from lineshaft.clock import to_datetime
from lineshaft.doctor.ahead import queues_with_ready_jobs
from lineshaft.doctor.ailment import Ailment, Finding, Patient, Remedy
from lineshaft.doctor.crew import Member, live_workers
from lineshaft.doctor.wording import MOST, counted, span
from lineshaft.engines.base import Row, Tx
from lineshaft.store.queries import Statements
from lineshaft.transitions import UNKNOWN_LONGEST_WAIT, UNKNOWN_PATIENCE

SQL: Final = Statements("unknown_tasks", "lineshaft.doctor")

_CAUSE: Final = "No worker of the queue knows a task of this name: it is put back for an hour, and is dead after that."
_COMMAND: Final = "lineshaft --app MODULE:NAME worker --queues QUEUE"


class _Unknown(NamedTuple):
    """A row of `put_back_unknown`."""

    queue: str
    task: str
    jobs: int
    since: int

    def is_known_to(self, worker: Member) -> bool:
        """Tell whether this worker will take them at their next turn."""
        return self.queue in worker.queues and self.task in worker.tasks


@dataclass(frozen=True, slots=True)
class UnknownTasks(Ailment):
    """A worker put back a job whose task it does not know, and no live one of its queue knows it now."""

    name: ClassVar[str] = "unknown-task"
    remedies: ClassVar = {
        "old workers": Remedy(
            _CAUSE,
            _COMMAND,
            "This app knows the task and the workers do not: they run older code. Start them anew; deploy workers "
            "before what enqueues.",
        ),
        "unknown": Remedy(
            _CAUSE,
            _COMMAND,
            "Deploy the code that has the task, or list its module in imports=; delete the jobs if the task is gone "
            "for good.",
        ),
    }

    @property
    def title(self) -> str:
        """How people call it."""
        return "unknown tasks waiting"

    def look(self, patient: Patient) -> Iterator[Finding]:
        """Yield each task of each queue."""
        workers = live_workers(patient)
        for one in sorted(self._found(patient), key=lambda one: one.since):
            if not any(map(one.is_known_to, workers)):
                yield self._finding(patient, one)

    @staticmethod
    def _found(patient: Patient) -> list[_Unknown]:
        queues, until = queues_with_ready_jobs(patient), patient.now() + UNKNOWN_LONGEST_WAIT

        def find(tx: Tx) -> list[Row]:  # at one moment: they go from one place to the other and back
            ahead = [tx.run(SQL.unknown_ahead, {"queue": queue, "most": MOST}) for queue in queues]
            return [*tx.run(SQL.put_back_unknown, {"until": until, "most": MOST}), *chain.from_iterable(ahead)]

        merged: dict[tuple[str, str], _Unknown] = {}
        for one in map(_Unknown._make, patient.engine.read(find)):
            known = merged.get((one.queue, one.task), one._replace(jobs=0))
            merged[one.queue, one.task] = one._replace(jobs=known.jobs + one.jobs, since=min(known.since, one.since))
        return list(merged.values())

    def _finding(self, patient: Patient, one: _Unknown) -> Finding:
        waited, ends = patient.now() - one.since, to_datetime(one.since + UNKNOWN_PATIENCE)
        symptom = (
            f"{counted(one.jobs)} of task {one.task!r} in queue {one.queue!r} put back for {span(waited)}, since no "
            f"worker knows the task; the first is dead at {ends:%Y-%m-%dT%H:%M:%SZ}"
        )
        facts = {
            "task": one.task, "queue": one.queue, "jobs": one.jobs, "since": to_datetime(one.since), "dead_at": ends,
        }  # fmt: skip
        kind = "old workers" if one.task in patient.tasks else "unknown"
        return self.remedies[kind].finding(self.name, patient, symptom, facts, QUEUE=quote(one.queue))
