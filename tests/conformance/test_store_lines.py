"""Lines of gates: jobs that wait out of sight of claims, who is let in next, and what people and clocks do to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lineshaft.clock import HOUR
from lineshaft.store import control, inspect
from lineshaft.store.claim import claim_jobs, expire_overdue
from lineshaft.store.gates import Move, lock_and_read, read_gates, take_due, write_step
from lineshaft.store.line import (
    LineQueues,
    Queues,
    Unclaimed,
    join_unclaimed,
    leave_gates,
    park_ready,
    park_unclaimed,
    queues_of_lines,
)
from lineshaft.store.upkeep import register_worker, set_draining
from lineshaft.transitions import PutBack, Stage, State
from tests.conformance.gated import KEY, LOOK, claim, columns_of, park, release, stored
from tests.plugins.engines import (
    KEPT_UNTIL,
    LIMIT_SECONDS,
    NOW,
    WORKER,
    claim_held,
    finish,
    state_in,
)

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine


# --- Lines --------------------------------------------------------------------------------------------------------


def test_parked_jobs_are_out_of_sight_and_wait(engine: Engine) -> None:
    """A refused job is not claimed again, counts no attempt, and is shown, counted and listed as queued."""
    [job] = stored(engine)
    [held] = claim_held(engine)
    park(engine, [held])
    assert columns_of(engine, job) == (KEY, Stage.PARKED, 0, None, None)
    assert (claim(engine), state_in(engine, job)) == ([], State.QUEUED)
    listed = engine.read(lambda tx: inspect.list_jobs(tx, inspect.Filter(states=(State.QUEUED,)), limit=9, cursor=None))
    assert [row.id for row in listed] == [job]
    assert engine.read(lambda tx: inspect.count_jobs(tx, inspect.Filter(states=(State.QUEUED,)))) == 1


def test_a_refused_job_was_not_started_anew(engine: Engine) -> None:
    """A job that ran before keeps the time of a start when a gate refuses it; one that never ran has none."""
    [job] = stored(engine)
    [held] = claim_held(engine)
    finish(engine, PutBack(held, Stage.READY, NOW))
    [again] = claim_held(engine)
    park(engine, [again])
    assert columns_of(engine, job) == (KEY, Stage.PARKED, 1, NOW, None)


def test_only_the_claim_that_was_refused_parks(engine: Engine) -> None:
    """Who lost a job meanwhile does not park it under its new holder."""
    [job] = stored(engine)
    [held] = claim_held(engine)
    finish(engine, PutBack(held, Stage.READY, None))
    claim_held(engine)
    park(engine, [held])
    assert columns_of(engine, job)[1:] == (Stage.READY, 2, NOW, WORKER)


def test_lines_are_released_in_their_order(engine: Engine) -> None:
    """The heads of a line are let in by priority, then time, then id, also where many have the same time."""
    same = stored(engine, 3, gate=KEY)
    [early] = stored(engine, gate=KEY, run_at=NOW - 1)
    [urgent] = stored(engine, gate=KEY, rank=-5, run_at=NOW + 1)
    [last] = stored(engine, gate=KEY, rank=5, run_at=NOW - 9)
    order = [urgent, early, *same, last]
    for count in (2, 1, 3):
        assert release(engine, {KEY: count}) == {"default"}
        assert [one.held.id for one in claim(engine)] == order[:count]
        order = order[count:]
    assert release(engine, {KEY: 1}) == set()


def test_several_lines_are_released_at_once(engine: Engine) -> None:
    """Each gate's line gives as many heads as it was asked for, and all that it has if those are fewer."""
    lines = {key: stored(engine, 3, gate=key, queue=key) for key in ("a", "b", "c")}
    assert release(engine, {"a": 2, "b": 9, "c": 0, "d": 1}) == {"a", "b"}
    for key, expected in (("a", lines["a"][:2]), ("b", lines["b"]), ("c", [])):
        found = engine.write(lambda tx, key=key: claim_jobs(tx, queue=key, limit=9, worker=WORKER, now=NOW))
        assert [one.held.id for one in found] == expected
        assert {one.gate for one in found} <= {key}


def test_jobs_of_closed_queues_are_passed_by(engine: Engine) -> None:
    """Heads of queues that nobody can claim from stay in their lines; of the others come the first, of all queues."""
    stored(engine, 5, gate=KEY, queue="paused")
    one = stored(engine, 2, gate=KEY, queue="one", run_at=NOW + 2)
    two = stored(engine, 2, gate=KEY, queue="two", run_at=NOW + 1)
    first = stored(engine, gate=KEY, queue="one", run_at=NOW + 3, rank=-1)
    stored(engine, 2, gate="other", queue="paused")
    queues = Queues(frozenset({"one", "two"}), frozenset({"paused"}))
    released = engine.write(lambda tx: write_step(tx, releases={KEY: 4, "other": 2}, queues=queues))
    assert released == {"one", "two"}
    ready = [job for job in (*one, *two, *first) if columns_of(engine, job)[1] == Stage.READY]
    assert ready == [one[0], *two, *first]
    assert engine.read(queues_of_lines).with_lines == {"paused", "one"}


def test_what_was_released_into_a_closed_queue_is_not_counted(engine: Engine) -> None:
    """A released job that nobody can claim takes no place; one that is held does, wherever it came from."""
    stored(engine, 2, gate=KEY, queue="away")
    stored(engine, 3, gate=KEY)
    release(engine, {KEY: 4})
    claim(engine, 1)
    for closed, ready in (((), 3), (("away", "paused"), 1), (("away", "default"), 0)):
        gate = engine.read(lambda tx, closed=closed: read_gates(tx, [KEY], closed=closed))[KEY]
        assert (gate.held, gate.ready) == (1, ready)
        assert engine.write(lambda tx, closed=closed: lock_and_read(tx, {KEY: "r"}, closed=closed))[KEY] == gate
        assert engine.write(lambda tx, closed=closed: take_due(tx, LOOK, closed=closed))[KEY] == gate


def test_the_queues_that_can_be_claimed_from_are_known(engine: Engine) -> None:
    """Told are the queues with jobs in lines, those of all workers that take jobs, and those that are paused."""
    for queue in ("a", "b", "c"):
        stored(engine, 2, gate=KEY, queue=queue)

    def register(queues: dict[str, int]) -> int:
        return engine.write(
            lambda tx: register_worker(tx, host="h", pid=1, version="0", queues=queues, tasks=(), now=NOW)
        )

    *_, leaving = [register(queues) for queues in ({"a": 1, "x": 2}, {"a": 3}, {"c": 1})]
    engine.write(lambda tx: set_draining(tx, worker=leaving))
    engine.write(lambda tx: control.pause_queue(tx, "b", now=NOW))
    assert engine.read(queues_of_lines) == LineQueues(frozenset("abc"), frozenset("ax"), frozenset("b"))


def test_named_jobs_of_a_strict_order_are_released(engine: Engine) -> None:
    """Jobs can be let in by their ids, wherever they stand in the line of their order, but not out of another line."""
    line = stored(engine, 3, gate=KEY, sequence=KEY)
    others = stored(engine)
    elsewhere = stored(engine, gate="full", sequence=KEY)
    released = [line[1], *others, *elsewhere]
    assert engine.write(lambda tx: write_step(tx, released=released)) == {"default"}
    assert sorted(one.held.id for one in claim(engine)) == sorted([line[1], *others])
    assert engine.write(lambda tx: write_step(tx, released=[line[1]])) == set()


def test_a_claimed_job_leaves_the_gate_that_has_released_it(engine: Engine) -> None:
    """A gate does not count a job that does not ask it any more."""
    first, _ = stored(engine, 2, gate=KEY)
    engine.write(lambda tx: write_step(tx, releases={KEY: 1}, moves=[Move(KEY, 0, None, LOOK)]))
    [claimed] = claim(engine)
    assert (claimed.held.id, claimed.gate) == (first, KEY)
    assert engine.read(lambda tx: read_gates(tx, [KEY]))[KEY].held == 1
    engine.write(lambda tx: leave_gates(tx, [claimed.held]))
    assert engine.read(lambda tx: read_gates(tx, [KEY]))[KEY].held == 0


def test_ready_jobs_are_parked_unclaimed(engine: Engine) -> None:
    """Ready jobs can be looked at and parked without a claim, in order; what was claimed meanwhile stays claimed."""
    ready = stored(engine, 4)
    stored(engine, queue="other")
    found = engine.read(lambda tx: park_ready(tx, "default", 3))
    assert [one.id for one in found] == ready[:3]
    assert [(one.name, one.args, one.turn) for one in found] == [("shop.render", "[[],{}]", NOW)] * 3
    [held] = claim_held(engine)
    assert engine.write(lambda tx: park_unclaimed(tx, [Unclaimed(one, KEY) for one in found])) == 2
    assert [columns_of(engine, job)[:2] for job in ready] == [
        (None, Stage.READY), (KEY, Stage.PARKED), (KEY, Stage.PARKED), (None, Stage.READY),
    ]  # fmt: skip
    assert held.id == ready[0]


def test_ready_jobs_join_a_strict_order_unclaimed(engine: Engine) -> None:
    """Ready jobs can be put into an order without a claim; one that was claimed meanwhile is left to who claims it."""
    ready = stored(engine, 3)
    found = engine.read(lambda tx: park_ready(tx, "default", 9))
    assert [one.sequence for one in found] == [None] * 3
    claim(engine, 1)
    engine.write(lambda tx: join_unclaimed(tx, dict.fromkeys(found, KEY)))
    assert engine.write(lambda tx: lock_and_read(tx, {KEY: "order"}))[KEY].first == ready[1]
    assert [one.sequence for one in engine.read(lambda tx: park_ready(tx, "default", 9))] == [KEY] * 2


def test_released_jobs_and_those_to_be_cancelled_are_not_looked_at(engine: Engine) -> None:
    """What a gate has released is not parked unclaimed, nor what comes back only to be cancelled."""
    stored(engine, gate=KEY)
    release(engine, {KEY: 1})
    [asked] = stored(engine, rank=-1)
    [held] = claim_held(engine)
    engine.write(lambda tx: control.cancel_jobs(tx, [asked], now=NOW, expires_at=KEPT_UNTIL))
    finish(engine, PutBack(held, Stage.RETRYING, NOW + HOUR))
    assert engine.read(lambda tx: park_ready(tx, "default", 9)) == []


def test_released_jobs_wake_sleeping_workers(durable_engine: Engine) -> None:
    """A worker that sleeps hears of a job that its gate has let in."""
    stored(durable_engine, gate=KEY)
    from lineshaft.store.upkeep import register_worker, set_idle

    worker = durable_engine.write(
        lambda tx: register_worker(tx, host="h", pid=1, version="1", queues={"default": 1}, tasks=[], now=NOW)
    )
    durable_engine.write(lambda tx: set_idle(tx, worker=worker, is_idle=True))
    listener = durable_engine.listen("worker")
    release(durable_engine, {KEY: 1})
    assert listener.receive(LIMIT_SECONDS) & {"default", ""}
    listener.close()


# --- What people and clocks do to jobs in lines -------------------------------------------------------------------


def test_people_do_to_parked_jobs_what_they_do_to_queued_ones(engine: Engine) -> None:
    """A job in a line is cancelled, deleted and purged like any that waits, and expires when its deadline passes."""
    [cancelled], [deleted], [purged] = (stored(engine, gate=KEY) for _ in range(3))
    [late] = stored(engine, gate=KEY, deadline=NOW - 1)
    assert engine.write(lambda tx: control.cancel_jobs(tx, [cancelled], now=NOW, expires_at=KEPT_UNTIL))[0] == {
        cancelled
    }
    assert engine.write(lambda tx: control.delete_jobs(tx, [deleted])) == 1
    assert [one.id for one in engine.write(lambda tx: expire_overdue(tx, now=NOW, expires_at=KEPT_UNTIL))] == [late]
    assert engine.write(lambda tx: control.purge_queue(tx, "default")) == 1
    assert (state_in(engine, cancelled), state_in(engine, late)) == (State.CANCELLED, State.EXPIRED)
    assert engine.read(lambda tx: inspect.get_job(tx, purged)) is None
    assert release(engine, {KEY: 9}) == set()


@pytest.mark.parametrize("delay", [0, HOUR])
def test_another_time_takes_a_job_out_of_its_line(engine: Engine, delay: int) -> None:
    """A job in a line that is given another time leaves the line: it comes to its gates as a new one."""
    [job] = stored(engine, gate=KEY)
    assert engine.write(lambda tx: control.reschedule_job(tx, job, run_at=NOW + delay, now=NOW))
    assert columns_of(engine, job)[:2] == (None, Stage.SCHEDULED if delay else Stage.READY)


def test_a_revived_job_comes_as_a_new_one(engine: Engine) -> None:
    """A job that is tried again by a person belongs to no gate."""
    [job] = stored(engine, gate=KEY)
    engine.write(lambda tx: control.cancel_jobs(tx, [job], now=NOW, expires_at=KEPT_UNTIL))
    engine.write(lambda tx: control.revive_jobs(tx, [job], now=NOW))
    assert columns_of(engine, job)[:2] == (None, Stage.READY)
