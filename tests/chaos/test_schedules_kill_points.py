"""A leader that is killed at each point of its work on schedules in turn; its successor goes on from there."""

from __future__ import annotations

import signal
from typing import Final

import pytest

from tests.chaos.conftest import Chaos, at_each
from tests.chaos.ticking import Ticking
from tests.plugins.apps import Process, eventually

BEFORE: Final = 3
"""So many ticks have come before there is a worker, so that one of the schedules has others wait."""
STATEMENTS: Final = (
    "take_lead", "begin insert_schedule", "tick add_ticks", "tick insert_jobs", "tick insert_like_jobs",
    "tick change_ticks", "tick move_schedules", "settle_ticks", "note_ends",
)  # fmt: skip
_BOTH: Final = tuple(f"{name}: {when}" for name in STATEMENTS for when in ("before", "after", "committed"))
POINTS: Final = {
    "sqlite": (*_BOTH, "begin ring worker: before", "tick ring worker: before", "tick ring worker: after"),
    "postgres": _BOTH,
}
QUICK_POINTS: Final = ("tick add_ticks: after", "tick move_schedules: committed", "note_ends: committed")


def load(chaos: Chaos) -> Ticking:
    """Store a schedule of each kind: nobody cares when its jobs end, or it is watched, or one waits for the other."""
    chaos.make_effects()
    ticking = Ticking(chaos)
    ticking.create("plain", every="1s", lasts=1)
    ticking.create("watched", every="1s", finish_within="1h", lasts=1)
    ticking.create("queued", every="1s", overlap="queue", lasts=1)
    ticking.antedate(BEFORE)
    return ticking


def run_to_the_end(ticking: Ticking, worker: Process) -> int:
    """Let a worker run until every tick has come or it dies; then stop it, and return its exit code."""
    eventually(lambda: worker._popen.poll() is not None or ticking.is_over())
    if worker._popen.poll() is None:
        ticking.settle()
        worker.send(signal.SIGTERM)
    return worker.end()


def kill_and_go_on(chaos: Chaos, point: str) -> None:
    ticking = load(chaos)
    doomed = chaos.start_worker(points=str(chaos.points), target=point)
    eventually(lambda: doomed._popen.poll() is not None)
    assert point in chaos.passed_points(), "the leader did not come by this point"
    assert doomed.end() == -signal.SIGKILL, doomed.errors()
    heir = chaos.worker()
    assert run_to_the_end(ticking, heir) == 0, heir.errors()
    ticking.assert_each_tick_once()


def test_points_are_all_listed(chaos: Chaos) -> None:
    """A leader's work on schedules passes the points that are listed here, each of which has its kill, and no other."""
    ticking = load(chaos)
    worker = chaos.start_worker(points=str(chaos.points))
    assert run_to_the_end(ticking, worker) == 0, worker.errors()
    ticking.assert_each_tick_once()
    dialect = chaos.app._store.engine.dialect
    passed = {point.rpartition(":")[0] for point in chaos.passed_points()}
    listed = {point.rpartition(":")[0] for point in POINTS[dialect]}
    assert {name for name in passed if name.startswith(("tick ", "begin "))} <= listed
    assert listed <= passed


@pytest.mark.parametrize("point", QUICK_POINTS)
def test_leader_killed_at_a_decisive_point(chaos: Chaos, point: str) -> None:
    """A leader killed between a tick's row, its job and its commit, or after it: each tick has one job all the same."""
    kill_and_go_on(chaos, point)


@pytest.mark.chaos
@at_each(POINTS)
def test_leader_killed(chaos: Chaos, point: str) -> None:
    """Whichever point of its work on schedules a leader is killed at, each tick has one job."""
    kill_and_go_on(chaos, point)
