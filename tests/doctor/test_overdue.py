"""The doctor finds schedules of which no job has completed in time, and the cures that it prints help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lineshaft.clock import HOUR, MINUTE
from lineshaft.doctor.overdue import Overdue
from lineshaft.features.schedules.declared import new_row
from lineshaft.features.schedules.definition import Definition, stored_text
from lineshaft.features.schedules.records import insert_schedule
from lineshaft.options import JobTemplate
from lineshaft.recurrence import Every, Recurrence
from tests.plugins.apps import eventually

if TYPE_CHECKING:
    from tests.doctor.conftest import Ward

HOURLY = Recurrence(Every(HOUR))


def schedule(ward: Ward, name: str = "nightly", task: str = "work.hold", args: str = '[["a"],{}]', **said: Any) -> None:
    """Store an hourly schedule that is three hours old; its jobs are to complete within a second."""
    given: dict[str, Any] = {"job": JobTemplate(task, args, "pdf", 1), "finish_within": 1_000_000, **said}
    if given.get("action") == "check":
        given |= {"task": task, "job": None, "finish_within": None}
    then = ward.patient.now() - 3 * HOUR
    row = new_row(name, "runtime", stored_text(Definition(HOURLY, **given)), None, then)
    assert ward.engine.write(lambda tx: insert_schedule(tx, row))


def test_nobody_leads(ward: Ward) -> None:
    """Where no worker runs, what is overdue is found all the same; a worker started as told makes up for it."""
    schedule(ward)
    found = ward.comes(Overdue())
    first = -(-(ward.patient.now() - 3 * HOUR) // HOUR) * HOUR
    assert found.facts["since"].timestamp() == first / 1_000_000 + 1
    assert (found.facts["kind"], found.facts["schedule"], found.facts["task"]) == (
        "nobody leads", "nightly", "work.hold",
    )  # fmt: skip
    assert found.symptom.startswith("schedule 'nightly' overdue for ")
    assert found.symptom.endswith("has completed; no worker runs")
    ward.cure(found)
    ward.goes(Overdue())


def test_job_that_still_runs(ward: Ward) -> None:
    """A job that takes too long is named with what it does, and the command explains it."""
    schedule(ward)
    worker = ward.worker("pdf:1", HOLDS="1")
    worker.expect("start a")
    lenient = ward.lenient()
    found = lenient.comes(Overdue())
    assert (found.facts["kind"], found.command.split()[-1]) == ("unfinished", found.facts["job"])
    assert f"job {found.facts['job']} is running" in found.symptom
    ward.cure(found)


def test_job_that_failed(ward: Ward) -> None:
    """A job that is dead is named with its reason."""
    schedule(ward, task="work.crash", args="[[],{}]")
    ward.worker("pdf:1")
    lenient = ward.lenient()
    found = eventually(lambda: next((one for one in lenient.found(Overdue()) if one.facts["kind"] == "failed"), None))
    assert f"job {found.facts['job']} is dead (lost)" in found.symptom
    ward.cure(found)


def test_tick_without_a_job(ward: Ward) -> None:
    """Where a tick has no job, it is told what became of it; the command enqueues one by hand, and that helps."""
    schedule(ward, catch_up="none", grace=1_000_000)
    ward.worker("pdf:1")
    lenient = ward.lenient()
    found = eventually(lambda: next((one for one in lenient.found(Overdue()) if "its tick" in one.symptom), None))
    assert (found.facts["kind"], found.symptom.endswith("has completed; its tick was missed")) == ("no job", True)
    ward.cure(found)
    ward.goes(Overdue())


def test_expected_task(ward: Ward) -> None:
    """An expectation that is not met says when a job of the task last completed, and lists them."""
    schedule(ward, action="check")
    ward.worker("pdf:1")
    found = ward.lenient().comes(Overdue())
    assert (found.facts["kind"], found.facts["task"]) == ("task", "work.hold")
    assert "no job of task 'work.hold' has completed ever; its jobs fail, wait, or are not enqueued" in found.symptom
    ward.cure(found)
    ward.enqueue("work.hold", "pdf", "b")
    ward.goes(Overdue())


@pytest.mark.parametrize("state", ["paused_at", "removed_at"])
def test_schedules_that_are_well(ward: Ward, state: str) -> None:
    """No alarm: a schedule without a switch, one whose time has not come, one that is paused or removed."""
    schedule(ward, "without", finish_within=None)
    schedule(ward, "lenient", finish_within=4 * HOUR)
    schedule(ward, "stopped")
    table = "lineshaft_schedule" if ward.engine.dialect == "sqlite" else "lineshaft.schedule"
    with ward.engine.migrating() as tx:
        tx.run_script(f"update {table} set {state} = 1 where name = 'stopped';\n")
    assert ward.found(Overdue()) == []


def test_more_than_anybody_reads(ward: Ward) -> None:
    """The twenty that are overdue for longest are told one by one, the others by their number."""
    for number in range(25):
        schedule(ward, f"report-{number:02}", finish_within=MINUTE + number)
    found = ward.found(Overdue())
    assert [one.facts["schedule"] for one in found] == [f"report-{number:02}" for number in range(20)]
    [others] = ward.unseen(Overdue())
    assert others.reason == "5 more schedules are overdue; 'lineshaft schedules list' shows them all"
