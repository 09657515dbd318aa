"""Schedules whose time has come, and workers that live, but nobody who attends to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from lineshaft.clock import SECOND
from lineshaft.doctor.ailment import Ailment, Finding, Patient, Remedy
from lineshaft.doctor.crew import SILENCES
from lineshaft.doctor.wording import MOST, span
from lineshaft.engines.base import Tx
from lineshaft.store.inspect import WorkerRow, list_workers
from lineshaft.store.lead import see_lead
from lineshaft.store.queries import Statements

SQL: Final = Statements("no_leader", "lineshaft.doctor")

_WAITING: Final = 10 * SECOND
"""A dead leader is replaced within 5 s; the rest is for a busy machine."""


@dataclass(frozen=True, slots=True)
class NoLeader(Ailment):
    """For ten seconds a schedule has been due, and as long a worker has lived."""

    name: ClassVar[str] = "no-leader"
    remedies: ClassVar = {
        "nobody": Remedy(
            "No worker leads, which does for all what has to be done once: those that live drain, and take no lead.",
            "lineshaft --app MODULE:NAME worker",
            "Start the new workers of a deploy while the long jobs of the old ones still run.",
        ),
        "stuck": Remedy(
            "The leader does not get on with its duties: its log says what they met, or its store answers too slowly.",
            "lineshaft workers drain WORKER",
            "That hands the lead to another worker at once; start one where there is none.",
        ),
    }

    @property
    def title(self) -> str:
        """How people call it."""
        return "schedules that nobody attends to"

    def look(self, patient: Patient) -> Iterator[Finding]:
        """Yield what is wrong, if it is."""
        now = patient.now()
        [(schedules, due_at)] = patient.run(SQL.unattended, until=now - _WAITING, most=MOST)
        if not schedules:
            return
        workers, leader = patient.engine.read(lambda tx: self._find(tx, patient))
        if workers:
            yield self._finding(patient, schedules, now - due_at, leader)

    @staticmethod
    def _find(tx: Tx, patient: Patient) -> tuple[list[WorkerRow], WorkerRow | None]:
        """Return the workers that have lived for a while, and the one of them that leads."""
        now, leader = patient.now(), see_lead(tx).worker
        oldest, latest = now - SILENCES * patient.settings.silence, now - _WAITING
        workers = [one for one in list_workers(tx) if one.heartbeat_at > oldest and one.started_at <= latest]
        return workers, next((one for one in workers if one.id == leader), None)

    def _finding(self, patient: Patient, schedules: int, late: int, leader: WorkerRow | None) -> Finding:
        many = "1 schedule has" if schedules == 1 else f"{schedules}{'+' if schedules == MOST else ''} schedules have"
        who = (
            "nobody leads" if leader is None else f"worker {leader.id} leads (process {leader.pid} on {leader.host!r})"
        )
        kind = "nobody" if leader is None else "stuck"
        facts = {"kind": kind, "schedules": schedules, "seconds": late / SECOND, "worker": leader and leader.id}
        symptom = f"{many} been due for up to {span(late)} although workers live: {who}"
        return self.remedies[kind].finding(self.name, patient, symptom, facts, WORKER=leader.id if leader else "")
