"""Ageing and weights in the claimer: what waiting is worth, how slots are shared, and that nothing else changes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.clock import MINUTE, SECOND, SystemClock
from lineshaft.store import control
from lineshaft.store.claim import Head, claim_aged, claim_jobs, waiting_heads
from lineshaft.worker.ageing import STEP, Aged, aged
from lineshaft.worker.claimer import Claimer
from lineshaft.worker.queue_order import QueueOrder
from tests.plugins.engines import NOW, WORKER, new_row, store_rows

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine
    from lineshaft.store.claim import Claimed

PERIOD = 10 * MINUTE


# --- the rule ---------------------------------------------------------------------------------------------------------


def test_a_period_is_worth_a_step() -> None:
    """A job has made up for 50 of priority exactly when it has waited for more than a period."""
    best = Head(-50, NOW)
    assert aged([best, Head(0, NOW - PERIOD)], PERIOD, NOW) == []
    assert aged([best, Head(0, NOW - PERIOD - 1)], PERIOD, NOW) == [Aged(0, NOW - PERIOD, -51)]


@given(st.dictionaries(st.integers(-100, 100), st.integers(0, 4 * PERIOD), min_size=1))
def test_who_has_aged_has_waited_for_its_distance(waited: dict[int, int]) -> None:
    """Of each rank it takes its distance from the best one that waits; the best one has nothing to make up for."""
    heads = [Head(rank, NOW - waited[rank]) for rank in sorted(waited)]
    best = min(waited)
    expected = [rank for rank in sorted(waited) if rank > best and waited[rank] * STEP > (rank - best) * PERIOD]
    assert [one.rank for one in aged(heads, PERIOD, NOW)] == expected


# --- the statements ---------------------------------------------------------------------------------------------------


def test_heads_are_the_first_waiting_jobs_of_each_rank(engine: Engine) -> None:
    """Running jobs, and ranks of which all run, are no heads; neither are jobs of other queues."""
    old, young = new_row(run_at=NOW - 9), new_row(run_at=NOW - 3)
    store_rows(engine, old, young, new_row(rank=-50, run_at=NOW - 5), new_row(rank=7), new_row(queue="b", rank=-99))
    assert engine.read(lambda tx: waiting_heads(tx, "default")) == [
        Head(-50, NOW - 5), Head(0, NOW - 9), Head(7, NOW),
    ]  # fmt: skip
    engine.write(lambda tx: claim_jobs(tx, queue="default", limit=2, worker=WORKER, now=NOW))
    assert engine.read(lambda tx: waiting_heads(tx, "default")) == [Head(0, NOW - 3), Head(7, NOW)]
    assert engine.read(lambda tx: waiting_heads(tx, "empty")) == []


def take_aged(engine: Engine, before: int, **changed: Any) -> list[str]:
    wanted = {"queue": "default", "rank": 0, "limit": 9, "worker": WORKER, "now": NOW} | changed
    return [one.held.id for one in engine.write(lambda tx: claim_aged(tx, before=before, **wanted))]


def test_aged_jobs_are_of_one_rank_and_old_enough(engine: Engine) -> None:
    """Only jobs of the rank whose time is before the given one are taken, in their order, up to the limit."""
    rows = [new_row(run_at=NOW - age) for age in (5, 4, 3)]
    store_rows(engine, *reversed(rows), new_row(rank=1, run_at=NOW - 9), new_row(queue="b", run_at=NOW - 9))
    assert take_aged(engine, NOW - 3, limit=1) == [rows[0]["id"]]
    assert take_aged(engine, NOW - 3) == [rows[1]["id"]]
    assert take_aged(engine, NOW - 3) == []


def test_a_paused_queue_gives_no_aged_jobs(engine: Engine) -> None:
    """A pause holds for jobs that have waited long, too."""
    store_rows(engine, new_row(run_at=NOW - 9))
    engine.write(lambda tx: control.pause_queue(tx, "default", now=NOW))
    assert take_aged(engine, NOW) == []


# --- the claimer ------------------------------------------------------------------------------------------------------


class Counted:
    """A transaction that notes which statements are run on it."""

    def __init__(self, tx: Any, names: list[str]) -> None:
        self._tx, self._names = tx, names

    def run(self, statement: Any, *args: Any) -> Any:
        """Note it, and run it."""
        self._names.append(statement.name)
        return self._tx.run(statement, *args)


class StoppedWatch(SystemClock):
    """A clock on which a claim takes no time, however busy the machine is: a slow one would begin behind a floor."""

    def monotonic(self) -> float:
        """Return always the same."""
        return 0.0


class Shaft:
    """A claimer driven without its thread, whose statements are noted."""

    def __init__(self, engine: Engine, queues: dict[str, int], order: QueueOrder, slots: int | None = None) -> None:
        self.engine, self.ran = engine, list[str]()
        self.claimer = Claimer(engine, WORKER, queues, slots or sum(queues.values()), StoppedWatch(), order)

    def claim(self, at: int = NOW) -> list[Claimed]:
        """Claim after a wake-up."""
        self.claimer.look()
        claimed = self.engine.write(lambda tx: self.claimer.claim(cast("Any", Counted(tx, self.ran)), at))
        self.claimer.took(claimed)
        return claimed

    def end(self) -> None:
        """Have every job end that is held."""
        for queue in self.claimer.queues.values():
            queue.held = 0

    def claims(self) -> list[str]:
        """Return what it ran to claim."""
        return [name for name in self.ran if name.startswith(("claim", "waiting"))]


def ages(engine: Engine, limit: int = 1) -> Shaft:
    return Shaft(engine, {"default": limit}, QueueOrder(ageing={"default": PERIOD}))


def store(engine: Engine, count: int, **columns: Any) -> list[str]:
    """Enqueue jobs and return their ids in order."""
    rows = [new_row(**columns) for _ in range(count)]
    store_rows(engine, *rows)
    return [row["id"] for row in rows]


@pytest.mark.parametrize("backlog", [1, 200])
def test_a_lone_low_job_starts_in_its_time(engine: Engine, backlog: int) -> None:
    """Under a stream of better jobs that never ends, with or without a backlog, it starts when it has aged."""
    shaft, [low] = ages(engine), store(engine, 1)
    store(engine, backlog, rank=-50)
    for second in (1, 2, 300, 599, 600, 601, 602):
        now = NOW + second * SECOND
        store(engine, 2, rank=-50, run_at=now)
        [claimed] = shaft.claim(now)
        shaft.end()
        assert (claimed.held.id == low) == (second == 601)


def test_a_crowd_that_has_aged_gets_one_place_in_four(engine: Engine) -> None:
    """However many jobs have aged, better ones that wait keep three places in four; the first aged one is next."""
    for limit in (1, 2, 10):
        store(engine, 100, run_at=NOW - 2 * PERIOD)
        store(engine, 100, rank=-50)
        shaft, taken = ages(engine, limit), list[int]()
        while len(taken) < 40:
            taken += (one.rank for one in shaft.claim())
            shaft.end()
        assert taken.count(-51) == 10
        assert taken[0] == -51


def test_ranks_that_have_aged_take_turns(engine: Engine) -> None:
    """A crowd of one rank holds up no lone job of another."""
    store(engine, 50, rank=50, run_at=NOW - 9 * PERIOD)
    store(engine, 50, rank=-50)
    shaft, [lone] = ages(engine), store(engine, 1, run_at=NOW - 2 * PERIOD)
    taken = list[str]()
    for second in range(5):
        taken += (one.held.id for one in shaft.claim(NOW + second * SECOND))
        shaft.end()
    assert lone in taken


def test_aged_jobs_leave_no_place_empty(engine: Engine) -> None:
    """What the aged do not take goes to the best rank, and what that does not take to the aged, in the same round."""
    old, best = store(engine, 3, rank=50, run_at=NOW - 9 * PERIOD), store(engine, 2)
    claimed = [one.held.id for one in ages(engine, limit=4).claim()]
    assert claimed == [old[0], *best, old[1]]


def test_an_aged_job_goes_before_the_best_in_its_lane(engine: Engine) -> None:
    """Lanes that share places start the job that comes first by rank: an aged one is not passed over there again."""
    [low] = store(engine, 1, rank=50, run_at=NOW - 9 * PERIOD)
    store(engine, 1, run_at=NOW - 99 * PERIOD)
    first, second = ages(engine, limit=2).claim()
    assert first.held.id == low
    assert first.rank < second.rank


def test_ageing_alone_costs_a_look_a_second(engine: Engine) -> None:
    """A round of a worker without ageing is one claim a queue; with it, a look a second more while nothing has aged."""
    plain = Shaft(engine, {"default": 1}, QueueOrder())
    for shaft, expected in ((plain, ["claim_jobs"] * 3), (ages(engine), ["waiting_heads", *["claim_jobs"] * 3])):
        store(engine, 3)
        for tick in range(3):
            assert len(shaft.claim(NOW + tick * SECOND // 4)) == 1
            shaft.end()
        assert shaft.claims() == expected


def test_a_clock_that_is_set_back_does_not_end_the_looks(engine: Engine) -> None:
    """When the time is before the last look, the worker looks anew."""
    store(engine, 3)
    shaft = ages(engine)
    for at in (NOW, NOW - PERIOD):
        shaft.claim(at)
        shaft.end()
    assert shaft.claims().count("waiting_heads") == 2


# --- the order of queues ----------------------------------------------------------------------------------------------


def test_strict_order_asks_as_before(engine: Engine) -> None:
    """Without weights a round is one claim for each queue that may have jobs, in the order given, until it is full."""
    store(engine, 3, queue="a")
    store(engine, 3, queue="b")
    shaft = Shaft(engine, {"a": 2, "b": 2}, QueueOrder())
    assert [one.queue for one in shaft.claim()] == ["a", "a", "b", "b"]
    assert shaft.claims() == ["claim_jobs"] * 2


def test_weights_share_the_slots(engine: Engine) -> None:
    """Under weights a round asks each queue once for its share, and again only where another one was short."""
    for queue, count in (("a", 90), ("b", 90), ("c", 3)):
        store(engine, count, queue=queue)
    shaft = Shaft(engine, dict.fromkeys("abc", 10), QueueOrder(weights={"a": 6, "b": 3, "c": 1}), slots=10)
    for _ in range(3):
        assert Counter(one.queue for one in shaft.claim()) == {"a": 6, "b": 3, "c": 1}
        shaft.end()
    assert shaft.claims() == ["claim_jobs"] * 9
    shaft.ran.clear()
    for asked in (4, 3, 3):  # one that was short is asked first: its share is known before the others are asked
        assert len(shaft.claim()) == 10
        shaft.end()
        assert shaft.claims() == ["claim_jobs"] * asked
        shaft.ran.clear()


def test_weights_respect_the_limits_of_queues(engine: Engine) -> None:
    """A queue at its own limit leaves its share to the others, however great its weight."""
    for queue in ("a", "b"):
        store(engine, 30, queue=queue)
    shaft = Shaft(engine, {"a": 2, "b": 10}, QueueOrder(weights={"a": 9, "b": 1}), slots=8)
    assert Counter(one.queue for one in shaft.claim()) == {"a": 2, "b": 6}


def test_a_paused_queue_leaves_its_share(engine: Engine) -> None:
    """A paused queue gives nothing, and its share goes to the others in the same round."""
    for queue in ("a", "b"):
        store(engine, 30, queue=queue)
    engine.write(lambda tx: control.pause_queue(tx, "a", now=NOW))
    shaft = Shaft(engine, {"a": 10, "b": 10}, QueueOrder(weights={"a": 9, "b": 1}), slots=10)
    assert Counter(one.queue for one in shaft.claim()) == {"b": 10}
