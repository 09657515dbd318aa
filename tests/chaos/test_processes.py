"""Workers that are killed, stopped, doubled, told to end; children that lose their worker."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import psutil
import pytest

from tests.chaos.conftest import Chaos
from tests.chaos.history import Kind
from tests.chaos.test_kill_points import bury_a_worker
from tests.plugins.apps import eventually

SHORT_LEASE = {"lease": "2s", "silence": "0.6s", "heartbeat": "0.2s", "stop_patience": "10s"}
ORPHAN_SECONDS = 1.0


def test_stopped_worker_is_refused_everything(chaos: Chaos) -> None:
    """A worker stopped beyond its lease cannot finish, cannot beat and cannot store the child that its job enqueues."""
    chaos.make_effects()
    sleeper = chaos.worker(**SHORT_LEASE)
    job = chaos.enqueue("deaf", "deaf", "gate")
    sleeper.expect("start deaf")
    sleeper.freeze(chaos.url)
    chaos.recorder.note(Kind.PAUSED, worker=sleeper.pid)
    heir = chaos.worker(**SHORT_LEASE)
    heir.expect("start deaf")
    assert job.result(20) == "deaf"
    before = job.refresh()._row
    sleeper.send(signal.SIGCONT)
    sleeper.say("gate")
    sleeper.end()
    assert "declared dead" in sleeper.errors()
    assert job.refresh()._row == before
    chaos.settle()
    chaos.assert_in_order()
    assert sorted(chaos.states()) == ["deaf", "deaf/child"], "the stale attempt has stored a child"
    assert [one.pid for one in chaos.app.workers.list()] == [heir.pid]


def test_two_incarnations_of_one_host_and_process_id(chaos: Chaos) -> None:
    """A dead worker with the host name and the process id of a living one is told apart from it: its job is rescued."""
    chaos.make_effects()
    doomed = chaos.worker()
    job = chaos.enqueue("held", "held", "gate")
    doomed.expect("start held")
    chaos.kill(doomed)
    heir = chaos.worker()
    columns = "host = (select host from {t} where pid = {pid}), pid = {pid}"
    table = f"{chaos.effects.rpartition('.')[0]}.worker" if "." in chaos.effects else "lineshaft_worker"
    with chaos.app.transaction() as connection:
        connection.execute(f"update {table} set {columns.format(t=table, pid=heir.pid)} where pid = {doomed.pid}")
    heir.expect("start held")
    twin = bury_a_worker(chaos.app, host=socket.gethostname(), pid=heir.pid)
    eventually(lambda: twin not in {int(one.id) for one in chaos.app.workers.list()})
    chaos.settle()
    chaos.assert_in_order()
    assert job.refresh().value == "held"
    assert [one.pid for one in chaos.app.workers.list()] == [heir.pid]


def test_orphaned_children_are_gone_within_a_second(chaos: Chaos, tmp_path: Path) -> None:
    """When a worker is killed, its lane's children and what their jobs have started are gone within a second."""
    chaos.make_effects()
    worker = chaos.worker()
    chaos.enqueue("breeding", "breeding")
    worker.expect("bred")
    family = psutil.Process(worker.pid).children(recursive=True)
    assert len(family) >= 3, "the child, its guard and the grandchild"
    chaos.kill(worker)
    for one in family:
        chaos.recorder.note(Kind.DIED, worker=one.pid)
    gone, alive = psutil.wait_procs(family, timeout=ORPHAN_SECONDS)
    assert not [one for one in alive if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    assert len(gone) + len(alive) == len(family)


PHASES = ("claim_jobs: after", "thread: before", "complete_jobs: after", "put_back_jobs: before", "beat: before")


@pytest.mark.parametrize("point", PHASES)
def test_sigterm_in_each_phase(chaos: Chaos, point: str) -> None:
    """Wherever SIGTERM reaches a worker, it ends with code 0, no attempt is used up and nothing runs twice."""
    chaos.make_effects()
    for number in range(5):
        chaos.enqueue("plain", f"plain{number}")
    chaos.enqueue("failing", "failing")
    worker = chaos.start_worker(points=str(chaos.points), target=point, act="ask")
    worker.expect("reached")
    worker.send(signal.SIGTERM)
    worker.say("go on")
    assert worker.end() == 0, worker.errors()
    assert not [one for one in chaos.app.jobs.iter() if one.state == "running"]
    heir = chaos.worker()
    chaos.settle()
    chaos.assert_in_order()
    assert {one.attempt for one in chaos.app.jobs.iter() if one.name == "work.plain"} == {1}
    assert heir._popen.poll() is None


@pytest.mark.parametrize("signals", [1, 2, 3])
def test_sigterm_again_and_again(chaos: Chaos, signals: int) -> None:
    """However often SIGTERM comes, a job that runs is put back uncounted once the grace is over or was ended."""
    chaos.make_effects()
    worker = chaos.worker(grace="0.3s" if signals == 1 else "30s")
    job = chaos.enqueue("held", "held", "never")
    worker.expect("start held")
    for _ in range(signals):
        worker.send(signal.SIGTERM)
        eventually(lambda: [one.state for one in chaos.app.workers.list()] in (["draining"], []))
    assert worker.end() == 0, worker.errors()
    assert (job.refresh().state, job.attempt) == ("queued", 0)
    heir = chaos.worker()
    heir.expect("start held")
    chaos.settle()
    chaos.assert_in_order()


def test_worker_killed_while_it_drains(chaos: Chaos) -> None:
    """A worker killed in its grace leaves its job to the next one."""
    chaos.make_effects()
    worker = chaos.worker()
    chaos.enqueue("held", "held", "gate")
    worker.expect("start held")
    worker.send(signal.SIGTERM)
    eventually(lambda: [one.state for one in chaos.app.workers.list()] == ["draining"])
    chaos.kill(worker)
    heir = chaos.worker()
    heir.expect("start held")
    chaos.settle()
    chaos.assert_in_order()
