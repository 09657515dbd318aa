"""The doctor finds schedules that nobody attends to although workers live, and its cures end that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lineshaft.clock import HOUR, SECOND
from lineshaft.doctor.no_leader import NoLeader
from lineshaft.engines.base import Sql, Statement
from lineshaft.features.schedules.definition import Definition, stored_text
from lineshaft.features.schedules.records import next_due
from lineshaft.options import JobTemplate
from lineshaft.recurrence import Every, Recurrence
from lineshaft.store.control import drain_workers
from lineshaft.store.inspect import list_workers
from lineshaft.store.lead import see_lead, take_lead
from lineshaft.store.upkeep import beat, register_worker
from tests.plugins.apps import eventually

if TYPE_CHECKING:
    from tests.doctor.conftest import Change, Ward
    from tests.plugins.apps import Process


_HOLDER: Final = Statement(
    "holder",
    Sql.parse("select worker from lineshaft_leader", "sqlite", ()),
    Sql.parse("select worker from lineshaft.leader", "postgres", ()),
)


def keep_from_schedules(ward: Ward, change: Change) -> Process:
    """Return a worker that drains a long job for ever; meanwhile the housekeeping has been due for a minute."""
    worker = ward.worker("pdf:1", HOLDS="1")
    ward.enqueue("work.hold", "pdf", "a")
    worker.expect("start a")
    [one] = ward.engine.read(list_workers)
    eventually(lambda: ward.engine.read(see_lead).worker == one.id and ward.engine.read(next_due))
    ward.engine.write(lambda tx: drain_workers(tx, [one.id]))
    # Who drains does not count as the leader at once; its duties have stopped when it has said so.
    eventually(lambda: ward.engine.read(lambda tx: tx.run(_HOLDER, {})) == [(0,)])
    ago = ward.patient.now() - 60 * SECOND
    change(f"update lineshaft_schedule set next_at = {ago}, due_at = {ago} where source = 'system'")
    change(f"update lineshaft_worker set started_at = {ago}")
    return worker


def test_all_workers_drain(ward: Ward, change: Change) -> None:
    """While the only worker drains a long job nobody leads; one that is started as told does what has been due."""
    keep_from_schedules(ward, change)
    found = ward.comes(NoLeader())
    assert found.facts["kind"] == "nobody"
    assert found.facts["schedules"] >= 1
    assert "been due for up to 1m" in found.symptom
    assert found.symptom.endswith("although workers live, for nobody leads")
    ward.cure(found)
    ward.goes(NoLeader())


def test_a_leader_that_does_not_get_on(ward: Ward, change: Change) -> None:
    """A leader that lives and leaves schedules alone is named; drained as told, it hands over to another."""
    now = ward.patient.now()
    stuck = ward.engine.write(
        lambda tx: register_worker(
            tx, host="h", pid=9, version="1", queues={"default": 1}, tasks=[], now=now - 60 * SECOND
        )
    )
    ward.engine.write(lambda tx: take_lead(tx, stuck, seen=0, now=now))
    lock = ward.engine.hold_worker_lock(stuck)
    server = lock.renew()
    ward.engine.write(lambda tx: beat(tx, worker=stuck, server=server, now=now + HOUR))
    ward.worker("pdf:1")
    change(
        "insert into lineshaft_schedule (name, source, declared, version, created_at, updated_at, next_at, due_at)"
        f" values ('late', 'runtime', '{{}}', 1, 0, 0, {now - 30 * SECOND}, {now - 30 * SECOND})"
    )
    found = ward.comes(NoLeader())
    assert (found.facts["kind"], found.facts["worker"]) == ("stuck", stuck)
    assert found.command.endswith(f"workers drain {stuck}")
    ward.engine.write(lambda tx: drain_workers(tx, [stuck]))
    eventually(lambda: ward.engine.read(see_lead).worker not in (None, stuck))
    lock.release()


def test_schedules_that_are_well(ward: Ward, change: Change) -> None:
    """No alarm: where nobody works, where a worker has just come, and where the leader does what is due."""
    worker = ward.worker("pdf:1")
    eventually(lambda: ward.engine.read(see_lead).worker)
    lenient = ward.lenient()
    assert lenient.found(NoLeader()) == []
    worker.kill()
    ago = ward.patient.now() - HOUR
    change("delete from lineshaft_worker")
    change(f"update lineshaft_schedule set next_at = {ago}, due_at = {ago}")
    assert lenient.found(NoLeader()) == []
    ward.worker("pdf:1")
    assert lenient.found(NoLeader()) == []


def test_nobody_works(ward: Ward, change: Change) -> None:
    """A schedule that has been due for a minute while no worker runs is found; a worker that is started ends that."""
    ago = ward.patient.now() - 61 * SECOND
    declared = stored_text(Definition(Recurrence(Every(HOUR)), job=JobTemplate("work.plain", "[[],{}]", "pdf", 1)))
    change(
        "insert into lineshaft_schedule (name, source, declared, version, created_at, updated_at, next_at, due_at)"
        f" values ('late', 'runtime', '{declared}', 1, 0, 0, {ago}, {ago})"
    )
    found = ward.comes(NoLeader())
    assert (found.facts["kind"], found.facts["schedules"]) == ("no worker", 1)
    assert found.symptom.endswith("no worker runs")
    ward.cure(found)
    ward.goes(NoLeader())
