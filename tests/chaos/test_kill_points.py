"""A worker, or a child of it, that is killed at each point of its cycle in turn; another one finishes what it left."""

from __future__ import annotations

import signal
from typing import Final

import pytest

from lineshaft import Lineshaft
from lineshaft.clock import SECOND
from lineshaft.store.claim import claim_jobs
from lineshaft.store.upkeep import beat, register_worker
from tests.chaos.conftest import Chaos, at_each
from tests.plugins.apps import Process, eventually

KEYS = (
    "plain", "coroutine", "separate", "failing", "hopeless", "snoozing", "talking", "transactional",
    "separate_transactional", "parent", "spawning",
)  # fmt: skip
_STATEMENTS: Final = (
    "beat", "claim_jobs", "close_jobs", "complete_jobs", "expire_overdue", "insert_like_jobs", "promote_due",
    "put_back_jobs", "register_worker", "save_logs", "save_progress", "set_draining", "rescue put_back_jobs",
    "rescue remove_worker", "sign-off remove_worker", "child complete_jobs", "insert_job", "take_lead",
    "resign_lead", "rescue resign_lead", "sign-off resign_lead", "declare_worker", "rescue revoke_worker",
    "sign-off revoke_worker",
)  # fmt: skip
_CALLS: Final = (
    "async", "thread", "outcome", "process: given", "process: ended", "wake-up", "child job", "child ready",
    "child tell ended",
)  # fmt: skip
_BOTH: Final = (
    *(f"{name}: {when}" for name in _STATEMENTS for when in ("before", "after", "committed")),
    *(f"{name}: {when}" for name in _CALLS for when in ("before", "after")),
)
_RINGS: Final = (
    "ring worker", "ring waiter", "ring follower", "rescue ring worker", "rescue ring follower", "child ring waiter",
)  # fmt: skip
POINTS: Final = {
    "sqlite": (*_BOTH, *(f"{name}: {when}" for name in _RINGS for when in ("before", "after"))),
    "postgres": (*_BOTH, *(f"set_idle: {when}" for when in ("before", "after", "committed"))),
}
QUICK_POINTS: Final = ("claim_jobs: after", "complete_jobs: after", "complete_jobs: committed")


def load(chaos: Chaos, *, with_orphan: bool = True) -> None:
    """Store jobs that lead a worker through all of its cycle, one of them held by a worker that is dead."""
    chaos.make_effects()
    chaos.enqueue("plain", "orphaned", priority=10)
    if with_orphan:
        engine, dead = chaos.app._store.engine, bury_a_worker(chaos.app)
        engine.write(lambda tx: claim_jobs(tx, queue="default", limit=1, worker=dead, now=engine.clock.now()))
    for key in KEYS:
        chaos.enqueue(key, key)
    chaos.enqueue("plain", "overdue", deadline="1ms", priority=-10, queue="other")
    chaos.enqueue("plain", "due later", delay="0.3s")


def bury_a_worker(app: Lineshaft, host: str = "gone", pid: int = 1) -> int:
    """Leave a worker behind whose heartbeat is old and whose lock is free, and return its number."""
    engine = app._store.engine
    long_ago = engine.clock.now() - 30 * SECOND
    number = engine.write(
        lambda tx: register_worker(
            tx, host=host, pid=pid, version="0", queues={"default": 1}, tasks=["work.plain"], now=long_ago
        )
    )
    lock = engine.hold_worker_lock(number)
    server = lock.renew()
    lock.release()
    engine.write(lambda tx: beat(tx, worker=number, server=server, now=long_ago))
    return number


def run_to_the_end(chaos: Chaos, worker: Process) -> int:
    """Let a worker run until everything is finished or it dies; then stop it, and return its exit code."""
    eventually(lambda: worker._popen.poll() is not None or not chaos.unfinished())
    if worker._popen.poll() is None:
        worker.send(signal.SIGTERM)
    return worker.end()


def assert_all_ran_once(chaos: Chaos) -> None:
    chaos.assert_in_order()
    states = chaos.states()
    wrong = {key: state for key, state in states.items() if state != "completed"}
    assert wrong == {"hopeless": "dead", "overdue": "expired"}
    assert {"orphaned", "due later", "parent/child", *KEYS} <= states.keys()
    assert {one.key for one in chaos._effects()} == {"transactional", "separate_transactional"}


def kill_and_finish(chaos: Chaos, point: str) -> None:
    load(chaos)
    doomed = chaos.start_worker(points=str(chaos.points), target=point)
    code = run_to_the_end(chaos, doomed)
    assert point in chaos.passed_points(), "the worker did not come by this point"
    assert code == (0 if point.startswith("child ") else -signal.SIGKILL), doomed.errors()
    heir = chaos.worker()
    assert run_to_the_end(chaos, heir) == 0
    assert_all_ran_once(chaos)


def test_points_are_all_listed(chaos: Chaos) -> None:
    """A worker's cycle passes the points that are listed here, each of which has its kill, and no other."""
    load(chaos)
    worker = chaos.start_worker(points=str(chaos.points))
    assert run_to_the_end(chaos, worker) == 0, worker.errors()
    assert_all_ran_once(chaos)
    # Those of schedules are passed by the clock, and have their kills in test_schedules_kill_points.py.
    passed = {point for point in chaos.passed_points() if not point.startswith(("begin ", "tick "))}
    listed = set(POINTS[chaos.app._store.engine.dialect])
    assert passed <= listed
    # By name: whether a statement commits alone or with others depends on what came together.
    assert {point.rpartition(":")[0] for point in passed} == {point.rpartition(":")[0] for point in listed}


@pytest.mark.parametrize("point", QUICK_POINTS)
def test_worker_killed_at_a_decisive_point(chaos: Chaos, point: str) -> None:
    """A worker killed between what it did and what it wrote of it loses no job and repeats no effect."""
    kill_and_finish(chaos, point)


@pytest.mark.parametrize("when", ["before", "after", "committed"])
def test_rescuer_killed_while_it_rescues(chaos: Chaos, when: str) -> None:
    """A worker killed in the middle of a rescue leaves its own jobs and the other's to a third one."""
    kill_and_finish(chaos, f"rescue put_back_jobs: {when}")


@pytest.mark.chaos
@at_each(POINTS)
def test_killed(chaos: Chaos, point: str) -> None:
    """Whichever point a worker or its child is killed at, every job ends once and every effect is there."""
    kill_and_finish(chaos, point)
