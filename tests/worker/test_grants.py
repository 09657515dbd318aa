"""What a worker asks and gets of queues that are limited as a whole."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft.clock import SECOND
from lineshaft.engines.postgres.transaction import PostgresTx
from lineshaft.engines.sqlite.transaction import SqliteTx
from lineshaft.store.grants import Flow, Gated, QueueRate, list_grants
from lineshaft.worker.ageing import Ageing
from lineshaft.worker.share import Ask, Grant, decide, opens_at
from tests.plugins.engines import NOW, new_row, store_rows
from tests.worker.sharers import QUEUE, Crew

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lineshaft.engines.base import Engine

LIMITED = Gated(QUEUE, Flow(5), 0, None, 0, 0, has_undeclared=False, has_waiting=True)
PACED = QueueRate(10, SECOND)


@pytest.fixture
def crew(engine: Engine) -> Crew:
    """The workers of a store on each engine."""
    return Crew(engine)


# --- deciding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "others, has_undeclared, has_waiting, ask, expected",
    [
        (0, False, True, Ask(0, 3, 3), Grant(3, 3, is_over=False, is_short=False)),
        (0, False, True, Ask(2, 3, 9), Grant(5, 3, is_over=False, is_short=True)),
        (0, False, True, Ask(0, 2, 9), Grant(2, 2, is_over=False, is_short=True)),
        (0, False, True, Ask(0, 2, 4), Grant(4, 4, is_over=False, is_short=False)),
        (4, False, True, Ask(0, 3, 3), Grant(1, 1, is_over=False, is_short=True)),
        (4, False, True, Ask(1, 3, 3), Grant(1, 0, is_over=False, is_short=True)),
        (4, False, True, Ask(2, 3, 3), Grant(2, 0, is_over=True, is_short=True)),
        (9, False, False, Ask(0, 3, 3), Grant(0, 0, is_over=True, is_short=False)),
        (0, False, False, Ask(2, 3, 3), Grant(2, 0, is_over=False, is_short=False)),
        (0, True, True, Ask(2, 3, 3), Grant(2, 0, is_over=True, is_short=True)),
        (-75, False, True, Ask(1, 2, 3), Grant(8, 3, is_over=False, is_short=False)),
        (0, False, True, Ask(2, 0, 0), Grant(2, 0, is_over=False, is_short=False)),
    ],
)
def test_places(others: int, has_undeclared: bool, has_waiting: bool, ask: Ask, expected: Grant) -> None:  # noqa: FBT001
    """What a worker holds counts always; more only of what nobody has, ahead of its lanes only where all fits."""
    gated = LIMITED._replace(others=others, has_undeclared=has_undeclared, has_waiting=has_waiting)
    assert decide(gated, ask, NOW) == expected


def test_places_are_kept_while_nothing_waits() -> None:
    """A worker that asks in vain keeps what it has, as far as the limit allows it."""
    idle = LIMITED._replace(has_waiting=False, places=4)
    assert decide(idle, Ask(1, 3, 9), NOW).places == 4
    assert decide(idle._replace(others=2), Ask(1, 3, 9), NOW).places == 3


def test_tokens() -> None:
    """A rate lets as many jobs start as it has tokens, and none ahead of the lanes."""
    gated = LIMITED._replace(flow=Flow(rate=PACED))
    assert decide(gated, Ask(0, 5, 9), NOW).more == 2
    assert decide(gated._replace(tat=NOW + SECOND // 10), Ask(0, 5, 9), NOW).more == 1
    assert decide(gated._replace(tat=NOW + SECOND // 5), Ask(0, 5, 9), NOW).more == 0
    assert decide(gated._replace(flow=Flow(rate=QueueRate(10, SECOND, 8))), Ask(0, 5, 9), NOW).more == 5


def test_a_clock_that_was_set_back_costs_one_burst() -> None:
    """A `tat` that lies hours ahead counts as one that was bought out just now."""
    gated = LIMITED._replace(flow=Flow(rate=PACED), tat=NOW + 3_600 * SECOND)
    assert decide(gated, Ask(0, 5, 5), NOW).more == 0
    assert opens_at(PACED, NOW + SECOND // 5, 5) == NOW + SECOND // 10


def test_many_tokens_are_waited_for_in_handfuls() -> None:
    """Where tokens come every millisecond a worker wakes every twentieth, and no oftener than it has lanes."""
    rate = QueueRate(1_000, SECOND)
    empty = NOW + 101 * SECOND // 1_000
    assert opens_at(rate, empty, 100) == NOW + 20 * SECOND // 1_000
    assert opens_at(rate, empty, 3) == NOW + 3 * SECOND // 1_000


# --- sharing ----------------------------------------------------------------------------------------------------------


def test_all_places_are_used(crew: Crew) -> None:
    """However many workers there are, as long as jobs wait all places are used, and never more."""
    for _ in range(4):
        crew.join(2)
    crew.limit(concurrency=3)
    crew.enqueue(40)
    crew.settle()
    for _ in range(8):
        assert crew.running() == 3
        for one in crew.members:
            one.end(1)
            one.write(claims=True)


def test_a_clean_stop_frees_its_places_at_once(crew: Crew) -> None:
    """A worker that ends gives back what it does not use, and each place when its job ends; others are woken."""
    crew.limit(concurrency=4)
    one, other = crew.join(4), crew.join(4)
    crew.enqueue(9)
    one.beat()
    other.beat()
    one.work()
    assert (len(one.held), len(other.held)) == (4, 0)
    one.drain()
    for left in (3, 2):
        one.end(1)
        one.write(claims=True)
        assert len(one.held) == left
        crew.ring()
        crew.clock.advance("0.06s")
        other.work()
        assert crew.running() == 4


def test_idle_workers_keep_no_places(crew: Crew) -> None:
    """A worker that had nothing to do between two heartbeats gives its places back."""
    crew.limit(concurrency=4)
    one = crew.join(4)
    crew.enqueue(3)
    one.beat()
    one.work()
    one.end(3)
    one.write(claims=True)
    assert [held.places for held in crew.engine.read(list_grants)] == [4]
    for _ in range(2):
        one.beat()
        one.work()
    assert crew.engine.read(list_grants) == []


def test_what_others_want_is_given_back(crew: Crew) -> None:
    """Places that a worker cannot use at the moment go to others that were refused."""
    crew.limit(concurrency=4)
    one, other = crew.join(4), crew.join(4)
    crew.enqueue(9)
    one.beat()
    other.beat()
    one.work()
    one.end(2)
    one.write(claims=False)
    one.claimer.queues[QUEUE].is_blocked = True
    crew.clock.advance("0.06s")
    other.work()
    assert (len(one.held), len(other.held)) == (2, 0)
    one.beat()
    one.work()
    crew.clock.advance("0.2s")
    other.work()
    assert (len(one.held), len(other.held)) == (2, 2)


def test_jobs_that_run_already_count(crew: Crew) -> None:
    """When a queue gets its first limit, nobody takes more before all have said what they hold."""
    one, other = crew.join(4), crew.join(4)
    crew.enqueue(4)
    one.work()
    assert len(one.held) == 4
    crew.limit(concurrency=5)
    crew.enqueue(9)
    other.beat()
    other.work()
    assert len(other.held) == 0
    one.beat()
    one.work()
    crew.clock.advance("0.2s")
    other.work()
    assert crew.running() == 5


def test_a_lower_limit_lets_none_start_before_there_are_fewer(crew: Crew) -> None:
    """Jobs above a limit that was lowered go on, and as they end others start only below it."""
    one = crew.join(6)
    crew.limit(concurrency=6)
    crew.enqueue(20)
    one.beat()
    one.work()
    crew.limit(concurrency=2)
    for running in (5, 4, 3, 2, 2, 2):
        one.end(1)
        one.write(claims=True)
        crew.clock.advance("0.2s")
        one.work()
        assert crew.running() == running


def test_ends_that_are_not_written_count(crew: Crew) -> None:
    """A job that has ended keeps its place until that is in the store: nobody sees more jobs held than may be."""
    one = crew.join(4)
    crew.limit(concurrency=2)
    crew.enqueue(9)
    one.beat()
    one.work()
    one.end(1)
    one.work()
    assert crew.running() == 2
    one.write(claims=True)
    assert crew.running() == 2


def test_a_refused_worker_asks_less_and_less(crew: Crew) -> None:
    """While others have all places, a worker asks after 0.1 s, and in the end once a second; woken, sooner."""
    crew.limit(concurrency=2)
    one, other = crew.join(2), crew.join(2)
    crew.enqueue(9)
    one.beat()
    other.beat()
    one.work()
    with counted() as names:
        for _ in range(400):  # four seconds
            crew.clock.advance("0.01s")
            other.work()
    assert 4 <= names.count("read_gated") <= 8
    crew.ring()
    assert other.claimer.has_work(other.now) or other.claimer.wait(other.now) <= 0.05


def test_a_rate_is_kept_by_all_workers_together(crew: Crew) -> None:
    """However many workers claim, together they take what the rate gives, and all of it while jobs wait."""
    for _ in range(3):
        crew.join(20)
    crew.limit(rate={"count": 10, "per": SECOND})
    crew.enqueue(200)
    for one in crew.members:
        one.beat()
    for _ in range(500):  # five seconds
        for one in crew.members:
            one.work()
        crew.clock.advance("0.01s")
    assert crew.running() == 51  # the burst of two, and one in each 0.1 s after


def test_nobody_polls_for_tokens(crew: Crew) -> None:
    """Between two tokens there is nothing to do, and the wait ends when the next one comes."""
    one = crew.join(5)
    crew.limit(rate={"count": 1, "per": 10 * SECOND, "burst": 1})
    crew.enqueue(5)
    one.beat()
    assert one.work() == 1
    crew.clock.advance("9.5s")
    crew.ring()
    assert not one.claimer.has_work(one.now)
    assert one.claimer.wait(one.now) == pytest.approx(0.5)
    crew.clock.advance("0.5s")
    assert one.work() == 1


def test_both_limits_hold(crew: Crew) -> None:
    """A queue with a limit and a rate starts a job when it has a place and a token for it."""
    one = crew.join(10)
    crew.limit(concurrency=3, rate={"count": 1, "per": SECOND, "burst": 2})
    crew.enqueue(9)
    one.beat()
    taken = []
    for _ in range(4):
        taken.append(one.work())
        crew.clock.advance("1s")
    assert taken == [2, 1, 0, 0]
    one.end(3)
    one.write(claims=True)
    assert crew.running() == 2


def test_other_queues_go_on(crew: Crew) -> None:
    """A queue that is used up holds up no other, on the same worker."""
    one = crew.join(3, QUEUE, "mail")
    crew.limit(concurrency=1)
    crew.enqueue(5)
    crew.enqueue(2, "mail")
    one.beat()
    assert one.work() == 3
    crew.enqueue(1, "mail")
    assert one.work() == 1


@pytest.mark.parametrize("flow", [{"concurrency": 2}, {"rate": {"count": 1, "per": SECOND}}])
def test_ageing_obeys(crew: Crew, flow: dict[str, Any]) -> None:
    """Jobs that have aged take places and tokens like any other."""
    one = crew.join(10)
    one.claimer.queues[QUEUE].ageing = Ageing(SECOND)
    crew.limit(**flow)
    rows = [new_row(queue=QUEUE, rank=rank, run_at=NOW - 600 * SECOND) for rank in (0, 50, 100) for _ in range(4)]
    store_rows(crew.engine, *rows)
    one.beat()
    assert one.work() == 2


# --- what it costs ----------------------------------------------------------------------------------------------------


@contextmanager
def counted() -> Iterator[list[str]]:
    """Note the names of all statements that are run."""
    names: list[str] = []
    undo: list[tuple[Any, Any]] = []
    for cls in (PostgresTx, SqliteTx):
        original = cls.run

        def run(self: Any, statement: Any, *args: Any, _original: Any = original, **more: Any) -> Any:
            names.append(statement.name)
            return _original(self, statement, *args, **more)

        undo.append((cls, original))
        cls.run = run
    try:
        yield names
    finally:
        for cls, original in undo:
            cls.run = original


def test_queues_without_limits_cost_nothing(crew: Crew) -> None:
    """Rounds of a worker whose queues have no limits run the statements that they always ran."""
    one = crew.join(4)
    crew.enqueue(12)
    with counted() as names:
        one.beat()
        for _ in range(3):
            one.work()
            one.end(4)
            one.write(claims=True)
    assert set(names) <= {"beat", "promote_due", "next_due", "claim_jobs", "complete_jobs", "set_idle"}


def test_a_job_of_a_limited_queue_costs_no_statement(crew: Crew) -> None:
    """Once a worker has its places, each round is one claim, as without limit."""
    one = crew.join(4)
    crew.limit(concurrency=4)
    crew.enqueue(60)
    one.beat()
    one.work()
    with counted() as names:
        for _ in range(10):
            one.end(4)
            one.write(claims=True)
    assert names.count("claim_granted") == names.count("complete_jobs") == 10
    assert set(names) <= {"claim_granted", "complete_jobs", "next_due", "promote_due", "set_idle"}
