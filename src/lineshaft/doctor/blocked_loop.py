"""A job that keeps the event loop of its worker from going on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

import msgspec

from lineshaft.clock import to_datetime
from lineshaft.doctor.ailment import Ailment, Finding, Patient, Remedy
from lineshaft.doctor.crew import Member, live_workers
from lineshaft.doctor.wording import span
from lineshaft.store.queries import Statements
from lineshaft.store.upkeep import Blocked

SQL: Final = Statements("blocked_loop", "lineshaft.doctor")


@dataclass(frozen=True, slots=True)
class BlockedLoop(Ailment):
    """A worker said with a heartbeat that its event loop has not answered for a second."""

    name: ClassVar[str] = "blocked-loop"
    remedies: ClassVar = {
        "worker": Remedy(
            "The code of an async job does not await: no other async job of that process goes on, nor can one be "
            "stopped.",
            "kill PID",
            "Make the task a plain function, which runs in a thread, or have it await asyncio.to_thread() where it "
            "blocks; 'lineshaft doctor --json' has its stack.",
        )
    }

    @property
    def title(self) -> str:
        """How people call it."""
        return "a blocked event loop"

    def look(self, patient: Patient) -> Iterator[Finding]:
        """Yield each worker whose loop is blocked at present."""
        said = {row[0]: msgspec.json.decode(row[1], type=Blocked) for row in patient.run(SQL.blocked_workers)}
        for worker in live_workers(patient) if said else ():
            if worker.id in said:
                yield self._finding(patient, worker, said[worker.id])

    def _finding(self, patient: Patient, worker: Member, blocked: Blocked) -> Finding:
        age = patient.now() - blocked.since
        who = f"job {blocked.job} ({blocked.task})" if blocked.job else "code that belongs to no job"
        symptom = (
            f"{who} has blocked the event loop of worker {worker.id} (process {worker.pid} on {worker.host!r}) "
            f"for {span(age)}"
        )
        facts = {
            "worker": worker.id, "host": worker.host, "pid": worker.pid, "job": blocked.job, "task": blocked.task,
            "since": to_datetime(blocked.since), "stack": blocked.stack,
        }  # fmt: skip
        return self.remedies["worker"].finding(self.name, patient, symptom, facts, PID=worker.pid)
