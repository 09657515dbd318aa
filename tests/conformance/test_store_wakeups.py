"""Listeners on every engine: a commit wakes them, a rollback does not, whoever wrote."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lineshaft.store import control, inspect, upkeep
from lineshaft.store.claim import Place, claim_jobs, promote_due
from lineshaft.store.enqueue import insert_alone, insert_jobs
from lineshaft.store.finish import Progress, save_progress
from lineshaft.transitions import Complete, PutBack, Stage, State
from tests.plugins.engines import LIMIT_SECONDS, NOW, WORKER, claim_held, finish, new_row, store_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lineshaft.engines.base import Engine, Listener
    from tests.plugins.engines import Child, MakeJob

ENQUEUE = """
from tests.plugins.engines import new_row, open_engine, store_rows
engine = open_engine(sys.argv[1])
store_rows(engine, new_row())
engine.close()
"""


@pytest.fixture
def sleeper(engine: Engine) -> Iterator[Listener]:
    """What an idle worker listens on."""
    yield from _listening(engine)


@pytest.fixture
def durable_sleeper(durable_engine: Engine) -> Iterator[Listener]:
    """What an idle worker listens on, in a store that others reach."""
    yield from _listening(durable_engine)


def _listening(engine: Engine) -> Iterator[Listener]:
    worker = engine.write(
        lambda tx: upkeep.register_worker(tx, host="h", pid=9, version="1", queues={}, tasks=[], now=NOW)
    )
    engine.write(lambda tx: upkeep.set_idle(tx, worker=worker, is_idle=True))
    listener = engine.listen("worker")
    yield listener
    listener.close()


def is_quiet(listener: Listener) -> bool:
    """Tell whether nothing has come; what a commit of this process sent is there when the commit returns."""
    return listener.receive(0.02) == set()


def test_a_commit_wakes(engine: Engine, sleeper: Listener) -> None:
    """A listener that waits in another thread hears of a committed enqueue within a second."""
    with ThreadPoolExecutor(1) as thread:
        heard = thread.submit(sleeper.receive, LIMIT_SECONDS)
        store_rows(engine, new_row())
        assert heard.result(1)


def test_a_job_enqueued_alone_wakes(engine: Engine, sleeper: Listener) -> None:
    """A job that is stored by one statement, without a transaction around it, wakes like any other."""
    assert insert_alone(engine, new_row())
    assert sleeper.receive(LIMIT_SECONDS)


def test_a_commit_of_another_process_wakes(
    durable_sleeper: Listener, address: str, child: Callable[..., Child]
) -> None:
    """A listener hears of what another process enqueued."""
    other = child(ENQUEUE, address)
    assert durable_sleeper.receive(LIMIT_SECONDS)
    assert other.end() == ""


def test_a_rollback_wakes_nobody(engine: Engine, sleeper: Listener) -> None:
    """Nobody is woken for jobs that were never committed."""
    with suppress(LookupError), engine.transaction() as tx:
        insert_jobs(tx, [new_row()])
        raise LookupError
    assert is_quiet(sleeper)


def test_a_wakeup_is_heard_once(engine: Engine, sleeper: Listener) -> None:
    """What was heard is gone; the next commit is heard anew."""
    for _ in range(2):
        store_rows(engine, new_row())
        assert sleeper.receive(LIMIT_SECONDS)
        assert is_quiet(sleeper)


def test_a_wakeup_waits_for_its_listener(engine: Engine, sleeper: Listener) -> None:
    """A commit that comes while nobody receives is heard at the next look."""
    store_rows(engine, new_row())
    assert sleeper.receive(LIMIT_SECONDS)


def test_interrupt_ends_the_wait(engine: Engine, sleeper: Listener) -> None:
    """A stopping worker gets its waiting thread back at once."""
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(sleeper.receive, LIMIT_SECONDS)
        sleeper.interrupt()
        waiting.result(1)


def test_what_lets_jobs_run_wakes(engine: Engine, sleeper: Listener, make_job: MakeJob) -> None:
    """Resuming a queue, reviving a job and letting due ones in wake workers as an enqueue does."""
    dead, due = make_job(State.DEAD), make_job(State.SCHEDULED, run_at=NOW)
    is_quiet(sleeper)
    for change in (
        lambda tx: control.resume_queue(tx, "default"),
        lambda tx: control.revive_jobs(tx, [dead.id], now=NOW),
        lambda tx: promote_due(tx, NOW),
    ):
        engine.write(change)
        assert sleeper.receive(LIMIT_SECONDS)
    assert due.claimed is None


def test_what_changed_nothing_wakes_nobody(engine: Engine, sleeper: Listener, make_job: MakeJob) -> None:
    """A worker that looks for due jobs and finds none does not wake itself and its neighbours."""
    done = make_job(State.COMPLETED)
    is_quiet(sleeper)
    engine.write(lambda tx: promote_due(tx, NOW))
    engine.write(lambda tx: control.revive_jobs(tx, [done.id], now=NOW))
    engine.write(lambda tx: control.cancel_jobs(tx, [done.id], now=NOW, expires_at=NOW))
    assert is_quiet(sleeper)


@pytest.mark.parametrize("ending", ["finish", "cancel"])
def test_the_end_of_an_awaited_job_wakes_who_waits(engine: Engine, make_job: MakeJob, ending: str) -> None:
    """Who waits for a job hears when it is final, however it got there."""
    job = make_job(State.RUNNING if ending == "finish" else State.SCHEDULED)
    waiter = engine.listen("waiter")
    engine.write(lambda tx: inspect.mark_awaited(tx, [job.id]))
    if ending == "finish":
        finish(engine, Complete(job.held, "1"))
    else:
        engine.write(lambda tx: control.cancel_jobs(tx, [job.id], now=NOW, expires_at=NOW))
    assert waiter.receive(LIMIT_SECONDS)
    waiter.close()


@pytest.mark.parametrize("verb", ["delete", "purge"])
def test_an_awaited_job_that_is_deleted_wakes_who_waits(engine: Engine, make_job: MakeJob, verb: str) -> None:
    """Who waits for a job hears that it is gone."""
    job = make_job(State.SCHEDULED)
    waiter = engine.listen("waiter")
    engine.write(lambda tx: inspect.mark_awaited(tx, [job.id]))
    if verb == "delete":
        engine.write(lambda tx: control.delete_jobs(tx, [job.id]))
    else:
        engine.write(lambda tx: control.purge_queue(tx, "default"))
    assert waiter.receive(LIMIT_SECONDS)
    waiter.close()


def test_whoever_follows_hears_of_each_move_and_who_waits_of_the_end_only(engine: Engine, make_job: MakeJob) -> None:
    """A claim, a word of progress and a job put back wake its followers; its end wakes those who wait for it too."""
    job = make_job()
    follower, waiter = engine.listen("follower"), engine.listen("waiter")
    engine.write(lambda tx: inspect.mark_awaited(tx, [job.id], is_followed=True))
    for place in (None, Place(0, 0, job.id)):
        held = engine.write(
            lambda tx, place=place: claim_jobs(tx, queue="default", limit=1, worker=WORKER, now=NOW, start=place)
        )[0].held
        assert follower.receive(LIMIT_SECONDS)
        engine.write(lambda tx, held=held: save_progress(tx, [Progress(held, "[0.5]")], worker=WORKER))
        assert follower.receive(LIMIT_SECONDS)
        finish(engine, PutBack(held, Stage.READY, None))
        assert follower.receive(LIMIT_SECONDS)
    assert is_quiet(waiter)
    [held] = claim_held(engine)
    finish(engine, Complete(held, "1"))
    for listener in (follower, waiter):
        assert listener.receive(LIMIT_SECONDS)
        listener.close()


def test_moves_of_jobs_that_nobody_follows_are_not_announced(postgres_engine: Engine) -> None:
    """On PostgreSQL only a followed job's moves cost a notification; of one that is awaited, only the end does."""
    engine, row = postgres_engine, new_row()
    store_rows(engine, row)
    follower = engine.listen("follower")
    engine.write(lambda tx: inspect.mark_awaited(tx, [row["id"]]))
    [held] = claim_held(engine)
    engine.write(lambda tx: save_progress(tx, [Progress(held, "[0.5]")], worker=WORKER))
    finish(engine, PutBack(held, Stage.READY, None))
    assert is_quiet(follower)
    follower.close()


def test_listener_that_came_within_one_tick_is_rung(sqlite_engine: Engine) -> None:
    """A listener is heard of even when the folder's time could not show its coming."""
    first = sqlite_engine.listen("worker")
    store_rows(sqlite_engine, new_row())
    folder = Path(first._address).parent  # type: ignore[attr-defined]  # the sockets' folder is nobody's business
    before = folder.stat().st_mtime_ns
    second = sqlite_engine.listen("worker")
    os.utime(folder, ns=(before, before))
    store_rows(sqlite_engine, new_row())
    assert second.receive(1) == {"default"}
    first.close()
    second.close()


def test_more_rings_than_a_socket_surely_keeps_mean_anything(sqlite_engine: Engine) -> None:
    """A listener that may have missed a ring looks at everything, not at the queues it heard of only."""
    listener = sqlite_engine.listen("worker")
    store_rows(sqlite_engine, new_row())
    assert listener.receive(LIMIT_SECONDS) == {"default"}
    for _ in range(20):
        store_rows(sqlite_engine, new_row())
    assert listener.receive(LIMIT_SECONDS) == {"default", ""}
    listener.close()


def test_listeners_that_do_not_listen_keep_no_ring_from_others(sqlite_engine: Engine) -> None:
    """However many rings stopped workers have not heard, their neighbour is woken."""
    stopped = [sqlite_engine.listen("worker") for _ in range(40)]
    awake = sqlite_engine.listen("worker")
    for _ in range(20):
        store_rows(sqlite_engine, new_row())
        assert awake.receive(LIMIT_SECONDS) == {"default"}
    for one in (*stopped, awake):
        one.close()


def test_socket_that_a_killed_listener_left_is_removed(sqlite_engine: Engine) -> None:
    """A dead listener's socket harms no commit and is tidied up by the next."""
    gone, alive = sqlite_engine.listen("worker"), sqlite_engine.listen("worker")
    gone._socket.close()  # type: ignore[attr-defined]  # as a killed process leaves it
    store_rows(sqlite_engine, new_row())
    assert alive.receive(LIMIT_SECONDS) == {"default"}
    assert not gone._address.exists()  # type: ignore[attr-defined]  # likewise
    alive.close()
    gone.close()


def test_store_reached_through_a_link_is_the_same_store(sqlite_engine: Engine, tmp_path: Path) -> None:
    """Locks and wake-ups go by the file, whatever name it was opened by."""
    from tests.plugins.engines import open_engine

    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "jobs.db")
    other = open_engine(f"sqlite:///{link}")
    lock, listener = other.hold_worker_lock(1), other.listen("worker")
    store_rows(sqlite_engine, new_row())
    assert listener.receive(LIMIT_SECONDS) == {"default"}
    assert sqlite_engine.read(lambda tx: sqlite_engine.dead_workers(tx, [1])) == []
    lock.release()
    listener.close()
    other.close()
