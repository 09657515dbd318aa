"""Workers' rows and what a rescue starts from, on every engine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from lineshaft.clock import SECOND
from lineshaft.store import claim, inspect, upkeep
from lineshaft.transitions import PutBack, Stage, State
from tests.plugins.engines import NOW, WORKER, claim_held, finish, new_row, open_engine, store_rows

if TYPE_CHECKING:
    import pytest

    from lineshaft.engines.base import Engine
    from tests.plugins.engines import MakeJob

SILENCE, LEASE = 3 * SECOND, 60 * SECOND


def register(engine: Engine, now: int) -> int:
    return engine.write(
        lambda tx: upkeep.register_worker(tx, host="h", pid=9, version="1", queues={}, tasks=[], now=now)
    )


def beat(engine: Engine, worker: int, now: int) -> bool:
    """Beat as a worker does: its lock tells on which start of the server it stands."""
    lock = engine.hold_worker_lock(worker)
    server = lock.renew()
    lock.release()
    return engine.write(lambda tx: upkeep.beat(tx, worker=worker, server=server, now=now))


def suspects(engine: Engine, worker: int, now: int) -> list[upkeep.Suspect]:
    return engine.read(lambda tx: upkeep.suspects(tx, worker=worker, now=now, silence=SILENCE, lease=LEASE))


def live_now(engine: Engine) -> int:
    """Return the store's own time: on PostgreSQL the server's start counts against it."""
    return engine.clock.now() + 3_600 * SECOND


def test_worker_ids_are_never_used_twice(engine: Engine) -> None:
    """A worker's id is new even after every earlier row was removed: it is half of the fence."""
    first = register(engine, NOW)
    assert engine.write(lambda tx: upkeep.remove_worker(tx, first)) is True
    assert register(engine, NOW) > first


def test_a_beat_renews_and_says_whether_the_worker_still_counts(engine: Engine) -> None:
    """A beat moves the heartbeat; that of a worker declared dead is refused."""
    worker = register(engine, NOW)
    assert beat(engine, worker, NOW + 5) == upkeep.Beaten(is_draining=False)
    assert [row.heartbeat_at for row in engine.read(inspect.list_workers)] == [NOW + 5]
    engine.write(lambda tx: upkeep.remove_worker(tx, worker))
    assert beat(engine, worker, NOW + 6) is None
    assert engine.read(inspect.list_workers) == []


def test_one_of_several_rescuers_removes_a_worker(engine: Engine) -> None:
    """Who removes the row knows that nobody else did."""
    worker = register(engine, NOW)
    assert [engine.write(lambda tx: upkeep.remove_worker(tx, worker)) for _ in range(2)] == [True, False]


def test_heartbeat_from_the_future_proves_no_life(engine: Engine) -> None:
    """Once the clock was set back, a heartbeat that lies ahead makes a suspect, whose lock then decides."""
    now = live_now(engine)
    watcher, ahead = register(engine, now), register(engine, now)
    beat(engine, ahead, now)
    assert suspects(engine, watcher, now - SILENCE) == []
    assert suspects(engine, watcher, now - LEASE) == [upkeep.Suspect(ahead, is_lease_over=False, host="h", pid=9)]


def test_silent_workers_are_suspects(engine: Engine) -> None:
    """A worker is a suspect from three seconds of silence on, and its lease is over after a minute."""
    now = live_now(engine)
    watcher, silent = register(engine, now), register(engine, now)
    for one in (watcher, silent):
        beat(engine, one, now)
    assert suspects(engine, watcher, now + SILENCE - 1) == []
    assert suspects(engine, watcher, now + SILENCE) == [upkeep.Suspect(silent, is_lease_over=False, host="h", pid=9)]
    assert suspects(engine, watcher, now + LEASE) == [upkeep.Suspect(silent, is_lease_over=True, host="h", pid=9)]


def test_lock_of_an_earlier_server_start_proves_nothing(postgres_engine: Engine) -> None:
    """A restart frees every lock, so a lock taken before it makes no suspect; only the end of the lease does."""
    now = live_now(postgres_engine)
    watcher, silent = register(postgres_engine, now), register(postgres_engine, now)
    postgres_engine.write(lambda tx: upkeep.beat(tx, worker=silent, server="an earlier start", now=now))
    assert suspects(postgres_engine, watcher, now + LEASE - 1) == []
    assert [one.id for one in suspects(postgres_engine, watcher, now + LEASE)] == [silent]


def test_time_of_an_outage_does_not_end_a_lease(postgres_engine: Engine) -> None:
    """A heartbeat from before the server's start counts as if it had come at the start."""
    long_ago = NOW - 10_000_000 * SECOND
    watcher, silent = register(postgres_engine, long_ago), register(postgres_engine, long_ago)
    with postgres_engine.reading() as tx:
        start = "select (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint"
        [(started,)] = tx.connection.execute(start).fetchall()  # type: ignore[attr-defined]
    assert silent not in [one.id for one in suspects(postgres_engine, watcher, started + LEASE // 2)]


def test_server_start_is_named_alike_in_every_time_zone(
    postgres_engine: Engine, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers whose sessions write times differently agree on which start of the server a lock was taken."""
    now = live_now(postgres_engine)
    watcher, silent = register(postgres_engine, now), register(postgres_engine, now)
    monkeypatch.setitem(os.environ, "PGTZ", "Asia/Kolkata")
    elsewhere = open_engine(postgres_url)
    beat(elsewhere, silent, now)
    elsewhere.close()
    assert [one.id for one in suspects(postgres_engine, watcher, now + SILENCE)] == [silent]


def test_orphans_are_what_a_worker_holds(engine: Engine, make_job: MakeJob) -> None:
    """A rescue is given the jobs that the dead worker holds, with all that decides about them, and no others."""
    carried: Any = {"tenant": "acme", "options": '{"timeout":1}', "context": '{"user":7}'}
    plain = make_job(State.RUNNING, name="a.b", max_attempts=5, **carried)
    asked = make_job(State.CANCELLING, queue="pdf")
    isolated = make_job(State.RUNNING)
    finish(engine, PutBack(isolated.held, Stage.READY, NOW, losses=1, isolates=True, gives_attempt_back=True))
    [again] = claim_held(engine)
    make_job(State.COMPLETED)
    make_job(State.RETRYING)
    store_rows(engine, new_row())
    claim_held(engine, worker=8)
    found = {one.held.id: one for one in engine.read(lambda tx: upkeep.orphans(tx, WORKER))}
    assert found.keys() == {plain.id, asked.id, isolated.id}
    assert found[plain.id] == upkeep.Orphan(
        plain.held,
        is_isolated=False,
        max_attempts=5,
        cancel_requested=False,
        queue="default",
        name="a.b",
        started_at=NOW,
        **carried,
    )
    assert (found[asked.id].cancel_requested, found[asked.id].queue) == (True, "pdf")
    assert (found[isolated.id].is_isolated, found[isolated.id].held) == (True, again)


def test_orphans_come_in_portions(engine: Engine) -> None:
    """At most 250 jobs are handed over at once; the rest follow when these are put back."""
    store_rows(engine, *(new_row() for _ in range(260)))
    claim_held(engine, limit=260)
    first = engine.read(lambda tx: upkeep.orphans(tx, WORKER))
    assert len(first) == 250
    written = finish(engine, *(PutBack(one.held, Stage.READY, None, gives_attempt_back=True) for one in first))
    assert len(written) == 250
    assert len(engine.read(lambda tx: upkeep.orphans(tx, WORKER))) == 10


def test_history_is_prepared_again_and_again(engine: Engine, make_job: MakeJob) -> None:
    """Preparing the history's days is harmless when they exist, and when rows of such a day are stored already."""
    make_job(State.COMPLETED)  # its row expires on a day without a partition
    for _ in range(2):
        engine.write(lambda tx: upkeep.ensure_history(tx, now=NOW))
    make_job(State.DEAD)
    assert engine.read(lambda tx: inspect.count_jobs(tx, inspect.Filter())) == 2


def test_holders_without_a_row_are_found(engine: Engine) -> None:
    """Jobs whose worker's row is gone are found, those of a registered worker are not."""
    known = register(engine, NOW)
    store_rows(engine, new_row(), new_row())
    for worker in (WORKER, known):
        engine.write(lambda tx, w=worker: claim.claim_jobs(tx, queue="default", limit=1, worker=w, now=NOW))
    assert engine.read(upkeep.unregistered_holders) == [WORKER]
    engine.write(lambda tx: upkeep.remove_worker(tx, known))
    assert set(engine.read(upkeep.unregistered_holders)) == {WORKER, known}
