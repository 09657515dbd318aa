"""Schedules whose time has come, and nobody who attends to them: no leader, or no worker at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from lineshaft.clock import MINUTE, SECOND
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
_WITHOUT_WORKER: Final = MINUTE
"""So long all workers may be away, as in a deploy."""


@dataclass(frozen=True, slots=True)
class NoLeader(Ailment):
    """For ten seconds a schedule has been due, and as long a worker has lived; or for a minute, and none lives.

    The store's own housekeeping is no reason to run a worker.
    """

    name: ClassVar[str] = "no-leader"
    remedies: ClassVar = {
        "nobody": Remedy(
            "No worker leads, which does for all what has to be done once: those that live drain, or are of a "
            "version that leads not.",
            "lineshaft --app MODULE:NAME worker",
            "Start the new workers of a deploy while the long jobs of the old ones still run.",
        ),
        "no worker": Remedy(
            "No worker runs, so that nobody leads, and nothing is enqueued when its time has come.",
            "lineshaft --app MODULE:NAME worker",
            "Have the service manager keep a worker running; what was missed is made up for as catch_up= says.",
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
        [(schedules, due_at, own, own_due_at)] = patient.run(SQL.unattended, until=now - _WAITING, most=MOST)
        if not schedules:
            return
        workers, leader = patient.engine.read(lambda tx: self._find(tx, patient))
        if not workers and own and own_due_at <= now - _WITHOUT_WORKER:
            yield self._finding(patient, own, now - own_due_at, "and no worker runs", {"kind": "no worker"})
        elif leader is not None:
            who = f"worker {leader.id} leads (process {leader.pid} on {leader.host!r})"
            facts = {"kind": "stuck", "worker": leader.id}
            yield self._finding(patient, schedules, now - due_at, f"although {who}", facts)
        elif any(one.started_at <= now - _WAITING for one in workers):
            facts = {"kind": "nobody"}
            yield self._finding(patient, schedules, now - due_at, "although workers live, for nobody leads", facts)

    @staticmethod
    def _find(tx: Tx, patient: Patient) -> tuple[list[WorkerRow], WorkerRow | None]:
        """Return the workers that live, and the one of them that leads if it has lived for a while."""
        now, leader = patient.now(), see_lead(tx).worker
        oldest, latest = now - SILENCES * patient.settings.silence, now - _WAITING
        workers = [one for one in list_workers(tx) if one.heartbeat_at > oldest]
        return workers, next((one for one in workers if one.id == leader and one.started_at <= latest), None)

    def _finding(self, patient: Patient, schedules: int, late: int, who: str, facts: dict[str, Any]) -> Finding:
        many = "1 schedule has" if schedules == 1 else f"{schedules}{'+' if schedules == MOST else ''} schedules have"
        facts = {"kind": facts["kind"], "schedules": schedules, "seconds": late / SECOND, "worker": facts.get("worker")}
        symptom = f"{many} been due for up to {span(late)}, {who}"
        return self.remedies[facts["kind"]].finding(self.name, patient, symptom, facts, WORKER=facts["worker"] or "")
