"""Schedules of a store that is put back from a backup, or moved to another address."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from lineshaft import Lineshaft
from lineshaft.backup import back_up, restore
from lineshaft.clock import SECOND
from lineshaft.copying import copy_store
from lineshaft.features.schedules.records import TickState
from tests.chaos.conftest import Chaos
from tests.chaos.history import Kind
from tests.chaos.ticking import Ticking, due_of, key_of, wrong_ticks
from tests.plugins.apps import Process, StartProcess, eventually
from tests.plugins.contents import Quiet

MakeApp = Callable[..., Lineshaft]
CHAOS = pytest.mark.chaos


def put_back(ticking: Ticking, worker: Process) -> set[str]:
    """Back a store up, have three more ticks come, put the backup back, and return the ticks that are in it."""
    engine, file = ticking.chaos.app._store.engine, ticking.chaos.folder / "jobs.backup"
    ticking.await_ticks(6)
    back_up(engine, file, Quiet())
    ticking.await_ticks(3)
    restore(engine, file, resumes=True, watcher=Quiet())
    known = {key_of(one.schedule, one.at) for one in ticking.ticks()}
    worker.end()
    return known


def starts(chaos: Chaos) -> Counter[str]:
    """Return how often the job of each tick was started."""
    return Counter(one.key for one in chaos.events() if one.kind is Kind.START)


def test_restored_within_the_grace(chaos: Chaos) -> None:
    """Ticks that a restore undid within their grace come again, each once; those that the backup knows do not."""
    ticking = Ticking(chaos)
    ticking.create("plain", every="1s", lasts=12)
    ticking.create("queued", every="1s", overlap="queue", lasts=12)
    known = put_back(ticking, chaos.worker())
    chaos.worker()
    ticking.settle()
    assert not list(wrong_ticks(ticking.schedules(), ticking.ticks()))
    jobs = Counter(f"{one.meta['schedule']}@{one.meta['tick']}" for one in chaos.app.jobs.iter())
    assert jobs == {key_of(row.name, at): 1 for row in ticking.schedules() for at in due_of(row)}
    ran = starts(chaos)
    assert {ran[key] for key in known - unfinished_at_backup(ran, known)} == {1}
    assert set(ran) == set(jobs)
    assert max(ran.values()) == 2, "what was undone ran a second time"


def unfinished_at_backup(ran: Counter[str], known: set[str]) -> set[str]:
    """Return those of the latest instant in the backup: their jobs may have been about to run, and run again."""
    latest = max(key.partition("@")[2] for key in known)
    return {key for key in known if key.endswith(latest) and ran[key] > 1}


@pytest.mark.parametrize(
    "catch_up, count", [pytest.param("none", 0, marks=CHAOS), ("one", 1), pytest.param("all", None, marks=CHAOS)]
)
def test_restored_after_the_grace(chaos: Chaos, catch_up: str, count: int | None) -> None:
    """What a restore undid longer ago than the grace goes by `catch_up`; the history says what was missed."""
    ticking = Ticking(chaos)
    ticking.create("plain", every="1s", lasts=600, grace="1s", catch_up=catch_up)
    known = put_back(ticking, chaos.worker())
    last_known = max(tick.at for tick in ticking.ticks())
    eventually(lambda: chaos.app._store.engine.clock.now() > last_known + 4 * SECOND)
    chaos.worker()
    ticking.await_ticks(2)
    ticks = [tick for tick in ticking.ticks() if key_of(tick.schedule, tick.at) not in known]
    begun = min(tick.decided_at for tick in ticks)
    overdue = [at for at in due_of(ticking.schedules()[0]) if last_known < at < begun - SECOND]
    caught_up = sorted(tick.at for tick in ticks if tick.at in overdue and tick.state == TickState.ENQUEUED)
    assert len(overdue) >= 2
    assert caught_up == (overdue if count is None else overdue[len(overdue) - count :])
    left = overdue[: len(overdue) - len(caught_up)]
    missed = [tick for tick in ticks if tick.state == TickState.MISSED]
    assert [tick.at for tick in missed] == left[-1:]
    assert all(str(len(left)) in (tick.note or "") for tick in missed if len(left) > 1)


def stopped(worker: Process) -> None:
    """Tell a worker to end, and wait until it has."""
    worker.send(signal.SIGTERM)
    assert worker.end() == 0, worker.errors()


@pytest.mark.parametrize("there", ["sqlite", "postgres"])
def test_moved_to_another_store(
    there: str, tmp_path: Path, postgres_url: str, make_app: MakeApp, start_process: StartProcess
) -> None:
    """A store that is copied to another engine between two ticks owes each tick once, those of the copy's time too."""
    urls = {"sqlite": f"sqlite:///{tmp_path / 'jobs.db'}", "postgres": postgres_url}
    target = Chaos(urls.pop(there), tmp_path, make_app, start_process)
    [other] = urls.values()
    source = Ticking(Chaos(other, tmp_path, make_app, start_process))
    source.create_fleet(8, lasts=10)
    worker = source.chaos.worker()
    source.await_ticks(10)
    stopped(worker)
    moved = Ticking(target)
    copy_store(source.chaos.app._store.engine, target.app._store.engine, Quiet())
    target.worker()
    moved.settle()
    moved.assert_each_tick_once()
    assert set(starts(target).values()) == {1}
