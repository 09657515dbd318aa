"""The row that says who leads, on every engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lineshaft.backup import back_up, restore
from lineshaft.store import control, upkeep
from lineshaft.store.closure import Closure, bar, unbar
from lineshaft.store.lead import NO_LEAD, Lead, resign_lead, see_lead, take_lead
from tests.plugins.contents import Quiet
from tests.plugins.engines import NOW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lineshaft.engines.base import Engine, Listener

    Race = Callable[[int, Callable[[int], Any]], list[Any]]


def register(engine: Engine) -> int:
    """Store a worker."""
    return engine.write(
        lambda tx: upkeep.register_worker(tx, host="h", pid=9, version="1", queues={}, tasks=[], now=NOW)
    )


def take(engine: Engine, worker: int, seen: int) -> int | None:
    """Have a worker take the lead that it saw to be free."""
    return engine.write(lambda tx: take_lead(tx, worker, seen=seen, now=NOW))


def beaten(engine: Engine, worker: int) -> upkeep.Beaten | None:
    """Have a worker say that it lives."""
    return engine.write(lambda tx: upkeep.beat(tx, worker=worker, server="", now=NOW))


def test_a_beat_tells_who_leads(engine: Engine) -> None:
    """Nobody leads a new store; then every worker's heartbeat names the one that took the lead, with its term."""
    one, two = register(engine), register(engine)
    assert [beaten(engine, worker) for worker in (one, two)] == [upkeep.Beaten(False, NO_LEAD)] * 2
    assert take(engine, one, 0) == 1
    assert [beaten(engine, worker) for worker in (one, two)] == [upkeep.Beaten(False, Lead(1, one))] * 2
    assert engine.read(see_lead) == Lead(1, one)


def test_a_lead_that_is_held_is_not_taken(engine: Engine) -> None:
    """Whoever saw an earlier term comes too late, and changes nothing."""
    one, two = register(engine), register(engine)
    assert take(engine, one, 0) == 1
    assert take(engine, two, 0) is None
    assert engine.read(see_lead) == Lead(1, one)


def test_of_many_one_takes_the_lead(engine: Engine, race: Race) -> None:
    """However many workers see at once that the lead is free, one gets it, each time."""
    workers = [register(engine) for _ in range(4)]
    for term in range(5):
        taken = race(4, lambda number, term=term: take(engine, workers[number], term))
        assert sorted(taken, key=str) == [term + 1, None, None, None]
        [winner] = [worker for worker, got in zip(workers, taken, strict=True) if got]
        assert engine.read(see_lead) == Lead(term + 1, winner)
        engine.write(lambda tx, winner=winner: resign_lead(tx, winner))


@pytest.mark.parametrize("how", ["removed", "drained", "draining", "resigned"])
def test_the_lead_of_whoever_is_gone_is_free(engine: Engine, how: str) -> None:
    """A leader whose row is gone, or that takes no more jobs, holds the lead no more; the next term is a new one."""
    one, two = register(engine), register(engine)
    take(engine, one, 0)
    engine.write(
        {
            "removed": lambda tx: upkeep.remove_worker(tx, one),
            "drained": lambda tx: control.drain_workers(tx, [one]),
            "draining": lambda tx: upkeep.set_draining(tx, worker=one),
            "resigned": lambda tx: resign_lead(tx, one),
        }[how]
    )
    assert engine.read(see_lead) == Lead(1, None)
    assert take(engine, two, 1) == 2


def test_the_lead_of_whoever_is_silent_is_free_for_others(engine: Engine) -> None:
    """Others see the lead of a worker free of which nothing was heard for long; the worker itself does not."""
    one, two = register(engine), register(engine)
    take(engine, one, 0)
    later = NOW + 10

    def seen(worker: int, oldest: int) -> Lead | None:
        told = engine.write(
            lambda tx: upkeep.beat(tx, worker=worker, server="", now=later, oldest=oldest) if worker != one else None
        )
        return told and told.lead

    assert [seen(two, NOW - 1), seen(two, NOW)] == [Lead(1, one), Lead(1, None)]
    assert engine.read(lambda tx: see_lead(tx, worker=two, oldest=NOW)) == Lead(1, None)
    assert engine.read(lambda tx: see_lead(tx, worker=one, oldest=NOW)) == Lead(1, one)
    assert engine.write(lambda tx: upkeep.beat(tx, worker=one, server="", now=later, oldest=later)) == upkeep.Beaten(
        False, Lead(1, one)
    )
    assert take(engine, two, 1) == 2


def test_whoever_drains_or_is_gone_takes_no_lead(engine: Engine) -> None:
    """A worker that is about to end, or was declared dead, does not become the leader."""
    draining, gone = register(engine), register(engine)
    engine.write(lambda tx: upkeep.set_draining(tx, worker=draining))
    engine.write(lambda tx: upkeep.remove_worker(tx, gone))
    assert [take(engine, worker, 0) for worker in (draining, gone)] == [None, None]
    assert engine.read(see_lead) == NO_LEAD


def test_only_the_leader_resigns(engine: Engine) -> None:
    """The end of a worker that does not lead leaves the leader alone."""
    one, two = register(engine), register(engine)
    take(engine, one, 0)
    assert not engine.write(lambda tx: resign_lead(tx, two))
    assert engine.read(see_lead) == Lead(1, one)


def hearing(engine: Engine) -> Iterator[Listener]:
    """What a worker listens on."""
    listener = engine.listen("worker")
    yield listener
    listener.close()


def test_elections_and_resignations_wake_the_workers(engine: Engine) -> None:
    """Whoever takes or frees the lead tells all workers to look; what changes nothing wakes nobody."""
    one = register(engine)
    for listener in hearing(engine):
        take(engine, one, 0)
        assert "" in listener.receive(20)
        engine.write(lambda tx: resign_lead(tx, one))
        assert "" in listener.receive(20)
        engine.write(lambda tx: resign_lead(tx, one))
        take(engine, one, 7)
        assert listener.receive(0.02) == set()


def test_nobody_leads_a_restored_store(durable_engine: Engine, tmp_path: Path) -> None:
    """A restore ends the lead of whoever had it; the next worker takes it, in a later term."""
    engine, file = durable_engine, tmp_path / "jobs.backup"
    one = register(engine)
    take(engine, one, 0)
    back_up(engine, file, Quiet())
    restore(engine, file, resumes=False, watcher=Quiet())
    term, leader = engine.read(see_lead)
    assert leader is None
    assert take(engine, register(engine), term) == term + 1


def test_the_leader_of_a_closed_store_signs_off(durable_engine: Engine) -> None:
    """A store that is closed to be moved lets its workers end in good order, the leader too."""
    engine = durable_engine
    one = register(engine)
    take(engine, one, 0)
    engine.write(lambda tx: bar(tx, Closure("moved", "{}")))
    engine.write(lambda tx: (upkeep.remove_worker(tx, one), resign_lead(tx, one)))
    engine.write(unbar)
    assert engine.read(see_lead) == Lead(1, None)
