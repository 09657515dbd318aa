"""The doctor finds what is wrong with the workers of a store, and the cures that it prints cure it."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING

from lineshaft.clock import MINUTE, SECOND
from lineshaft.doctor.blocked_loop import BlockedLoop
from lineshaft.doctor.dead_workers import DeadWorkers
from lineshaft.doctor.no_worker import NoWorker
from lineshaft.doctor.unknown_tasks import UnknownTasks
from lineshaft.store.control import pause_queue
from lineshaft.transitions import Stage, State
from tests.plugins.apps import eventually
from tests.plugins.engines import state_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft import Lineshaft
    from tests.doctor.conftest import Change, Ward
    from tests.plugins.apps import Gates, Process, StartWorker


def busy_worker(ward: Ward) -> Process:
    """Return a worker that runs a job, and so has said that it lives."""
    worker = ward.worker("pdf:1", HOLDS="1")
    ward.enqueue("work.hold", "pdf", "a")
    worker.expect("start a")
    return worker


def test_queue_without_worker(ward: Ward) -> None:
    """Jobs that are due in a queue which no live worker serves are counted, and a worker started as told takes them."""
    for _ in range(2):
        job = ward.enqueue("work.hold", "pdf", "a")
    ward.worker("default:1")
    found = ward.comes(NoWorker())
    assert {**found.facts, "seconds": round(found.facts["seconds"], -1)} == {"queue": "pdf", "jobs": 2, "seconds": 120}
    assert found.symptom.startswith("2 jobs of queue 'pdf' due for up to 2m")
    ward.cure(found)
    ward.goes(NoWorker())
    eventually(lambda: state_in(ward.engine, job) is State.COMPLETED)


def test_delayed_jobs_that_nobody_promotes(ward: Ward) -> None:
    """Where no worker lives at all, jobs whose time has come are found although nobody has made them ready."""
    ward.enqueue(stage=int(Stage.SCHEDULED))
    ward.enqueue()
    assert ward.comes(NoWorker()).facts["jobs"] == 2


def test_queues_that_are_well(ward: Ward) -> None:
    """No alarm: a job that came a moment ago, one that is not due, a paused queue, a queue that is served."""
    now = ward.patient.now()
    ward.enqueue(queue="young", run_at=now)
    ward.enqueue(queue="later", stage=int(Stage.SCHEDULED), run_at=now + MINUTE)
    ward.enqueue(queue="paused")
    ward.engine.write(lambda tx: pause_queue(tx, "paused", now=now))
    ward.worker("pdf:1", HOLDS="1")
    for _ in range(3):
        ward.enqueue("work.hold", "pdf", "a")
    lenient = ward.lenient()
    assert lenient.found(NoWorker()) == []
    assert [one.facts["queue"] for one in lenient.found(NoWorker(waiting=0))] == ["young"]


def test_worker_that_was_killed(ward: Ward) -> None:
    """A killed worker that nobody rescued is found with the jobs that it held; any worker cures that."""
    worker = ward.worker("pdf:2", HOLDS="1")
    job = ward.enqueue("work.hold", "pdf", "a")
    worker.expect("start a")
    assert ward.found(DeadWorkers()) == []
    worker.kill()
    found = ward.comes(DeadWorkers())
    assert (found.facts["kind"], found.facts["pid"], found.facts["jobs"]) == ("gone", worker.pid, 1)
    assert f"(process {worker.pid} on {socket.gethostname()!r}) is dead" in found.symptom
    assert found.command.endswith("worker --queues pdf:2")
    ward.cure(found)
    ward.goes(DeadWorkers())
    eventually(lambda: state_in(ward.engine, job) is State.COMPLETED)


def test_worker_that_is_stopped(ward: Ward) -> None:
    """A worker that was sent SIGSTOP holds its lock and does not move: it is found, and goes on after the cure."""
    worker = busy_worker(ward)
    worker.freeze(ward.url)
    found = ward.comes(DeadWorkers())
    assert (found.facts["kind"], found.command) == ("stopped", f"kill -CONT {worker.pid}")
    ward.cure(found)
    ward.goes(DeadWorkers())


def test_worker_that_hangs_elsewhere(ward: Ward, change: Change) -> None:
    """Of a worker on another host nobody here can tell why it does not move: it is to be ended there."""
    worker = busy_worker(ward)
    change("update lineshaft_worker set host = 'elsewhere'")
    worker.freeze(ward.url)
    found = ward.comes(DeadWorkers())
    assert (found.facts["kind"], found.command) == ("stuck", f"kill -9 {worker.pid}")
    assert "on 'elsewhere') hangs" in found.symptom
    ward.cure(found)
    assert ward.comes(DeadWorkers()).facts["kind"] in ("gone", "stuck")
    eventually(lambda: ward.found(DeadWorkers())[0].facts["kind"] == "gone")


def test_task_that_no_worker_knows(ward: Ward) -> None:
    """A job whose task its queue's workers do not know is found, with the time of its end; a newer worker cures it."""
    job = ward.enqueue("work.newest", "default", "a")
    assert ward.found(UnknownTasks()) == []
    old = ward.worker("default:1", KNOWS="old")
    found = ward.comes(UnknownTasks())
    assert (found.facts["task"], found.facts["queue"], found.facts["jobs"]) == ("work.newest", "default", 1)
    assert round((found.facts["dead_at"] - found.facts["since"]).total_seconds()) == 3600
    assert "imports=" in found.advice
    known = ward.knowing("work.newest").comes(UnknownTasks())
    assert "they run older code" in known.advice
    old.send(signal.SIGTERM)  # it would take the job again, and every wait is twice as long as the one before
    old.end()
    ward.cure(found)
    ward.goes(UnknownTasks())
    eventually(lambda: state_in(ward.engine, job) is State.COMPLETED, limit=60)


def test_event_loop_that_goes_on(
    ward: Ward, make_app: Callable[..., Lineshaft], start_worker: StartWorker, gates: Gates
) -> None:
    """Once a job that blocked the event loop has ended, nothing is said of it any more."""
    app = make_app(ward.url)

    @app.task
    async def crunch() -> None:
        gates.wait("done")

    start_worker(app, {"default": 1})
    job = crunch.enqueue()
    assert ward.comes(BlockedLoop()).facts["job"] == job.id
    gates.open("done")
    ward.goes(BlockedLoop())


def test_blocked_event_loop(ward: Ward) -> None:
    """A worker says which job blocks its event loop, and where it is; ending the worker is the cure."""
    worker = ward.worker("default:2", HOLDS="1")
    job = ward.enqueue("work.block", "default", "a")
    worker.expect("start a")
    found = ward.comes(BlockedLoop())
    assert (found.facts["pid"], found.facts["job"], found.facts["task"]) == (worker.pid, job, "work.block")
    assert "in block" in found.facts["stack"]
    assert abs(ward.patient.now() / SECOND - found.facts["since"].timestamp()) < 20
    assert f"job {job} (work.block) has blocked the event loop of worker" in found.symptom
    ward.cure(found)
    ward.goes(BlockedLoop())
