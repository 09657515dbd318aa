"""Workers that are gone or do not move, and the jobs that wait for them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import ClassVar, Final

import msgspec

from lineshaft.clock import SECOND
from lineshaft.doctor.ailment import Ailment, Finding, Patient, Remedy
from lineshaft.doctor.crew import SILENCES
from lineshaft.doctor.wording import MOST, counted, span
from lineshaft.engines.base import Tx
from lineshaft.store.inspect import WorkerRow, list_workers
from lineshaft.store.queries import Statements
from lineshaft.store.upkeep import suspects

SQL: Final = Statements("dead_workers", "lineshaft.doctor")

_NOBODY: Final = 0
"""A number that no worker has."""


@dataclass(frozen=True, slots=True)
class DeadWorkers(Ailment):
    """A worker was not heard of for three times `silence`: its lock is free and it was not rescued, or it hangs."""

    name: ClassVar[str] = "dead-worker"
    remedies: ClassVar = {
        "gone": Remedy(
            "It died, and no other worker lives that would put back what it held: any worker does that within seconds.",
            "lineshaft --app MODULE:NAME worker --queues QUEUES",
            "Have the service manager start workers again (Restart=always), and run two of them.",
        ),
        "stopped": Remedy(
            "It is stopped (SIGSTOP, a debugger, a frozen container): its jobs stand still until its lease is over.",
            "kill -CONT PID",
            "Find who stopped it; a machine or container that is suspended takes its workers with it.",
        ),
        "stuck": Remedy(
            "It holds its lock and does not say that it lives: the machine sleeps or swaps, its network is gone, or "
            "code in C keeps Python from running. Its jobs stand still until its lease is over.",
            "kill -9 PID",
            "Look at memory and CPU of that host; run what holds the interpreter for long in the process lane.",
        ),
    }

    @property
    def title(self) -> str:
        """How people call it."""
        return "dead and frozen workers"

    def look(self, patient: Patient) -> Iterator[Finding]:
        """Yield each worker."""
        gone, silent = patient.engine.read(lambda tx: self._find(tx, patient))
        for one in silent:
            yield self._finding(patient, one, self._kind(one, gone))

    @staticmethod
    def _find(tx: Tx, patient: Patient) -> tuple[set[int], list[WorkerRow]]:
        """Return whose lock is free, and all who were not heard of."""
        settings, now = patient.settings, patient.now()
        found = suspects(tx, worker=_NOBODY, now=now, silence=SILENCES * settings.silence, lease=settings.lease)
        ids = {one.id for one in found}
        return set(patient.engine.dead_workers(tx, list(ids))), [one for one in list_workers(tx) if one.id in ids]

    @staticmethod
    def _kind(one: WorkerRow, gone: set[int]) -> str:
        if one.id in gone:
            return "gone"
        return "stopped" if one.host == socket.gethostname() and _is_stopped(one.pid) else "stuck"

    def _finding(self, patient: Patient, one: WorkerRow, kind: str) -> Finding:
        queues = msgspec.json.decode(one.queues, type=dict[str, int])
        held = sum(self._held(patient, one.id, queue) for queue in queues)
        silent = patient.now() - one.heartbeat_at
        said = {"gone": "is dead", "stopped": "is stopped", "stuck": "hangs"}[kind]
        symptom = (
            f"worker {one.id} (process {one.pid} on {one.host!r}) {said}: not heard of for {span(silent)}; "
            f"it holds {counted(held)}"
        )
        facts = {
            "kind": kind, "worker": one.id, "host": one.host, "pid": one.pid, "seconds": silent / SECOND, "jobs": held,
        }  # fmt: skip
        served = quote(",".join(f"{queue}:{limit}" for queue, limit in queues.items()))
        return self.remedies[kind].finding(self.name, patient, symptom, facts, QUEUES=served, PID=one.pid)

    @staticmethod
    def _held(patient: Patient, worker: int, queue: str) -> int:
        """Count what it holds among the first jobs of a queue, where held ones stand."""
        return int(patient.run(SQL.held_ahead, worker=worker, queue=queue, most=MOST)[0][0])


def _is_stopped(pid: int) -> bool:
    """Tell whether Linux says that this process of this machine is stopped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0] in ("T", "t")
    except OSError:  # gone, or a system without /proc
        return False
