"""Lines that go on without a look at their gates: as long as nothing has changed, and no longer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import pytest

from lineshaft import Concurrency, Job, Lineshaft
from lineshaft.engines.base import Sql, Statement
from lineshaft.engines.postgres.transaction import PostgresTx
from lineshaft.engines.sqlite.transaction import SqliteTx
from lineshaft.store.gates import SQL as GATES
from lineshaft.transitions import State
from tests.worker.crew import Hand

MakeHand = Callable[[], Hand]
_TELL_TO_STOP: Final = Statement(
    "tell_to_stop",
    Sql.parse("update lineshaft_job set cancel_requested = 1 where id = :id returning 1", "sqlite", ()),
    Sql.parse("update lineshaft.job set cancel_requested = true where id = %(id)s::uuid returning 1", "postgres", ()),
)
"""As somebody does in the moment before the claim."""


@pytest.fixture
def make_hand(app: Lineshaft) -> Iterator[MakeHand]:
    """Makes the parts of workers that the test steps; define the tasks before."""
    app.migrate()
    made: list[Hand] = []

    def make() -> Hand:
        app.sync_limits()
        made.append(Hand(app, 7 + len(made)))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The looks at gates so far."""
    found: list[Any] = []
    for kind in (SqliteTx, PostgresTx):
        run = kind.run

        def noted(self: Any, statement: Any, params: Any, rows: Any = None, *, run: Any = run) -> Any:
            if statement is GATES.read_gates:
                found.append(params["keys"])
            return run(self, statement, params, rows)

        monkeypatch.setattr(kind, "run", noted)
    return found


def limited(app: Lineshaft, **options: Any) -> Any:
    """Return a task whose jobs are never really run."""

    @app.task(name="limited", **options)
    def limited(number: int) -> None:
        """Never really run."""

    return limited


def numbers(count: int) -> list[dict[str, int]]:
    """Return the arguments of so many jobs."""
    return [{"number": number} for number in range(count)]


def run_on(hand: Hand, jobs: Sequence[Job[Any]]) -> list[int]:
    """End one job after the other until all have ended, and return how many ran at a time."""
    counts: list[int] = []
    while hand.runs:
        counts.append(len(hand.runs))
        assert len(counts) <= len(jobs), "a job ran twice"
        hand.end(hand.runs[0])
        hand.step()
    assert {job.refresh().state for job in jobs} == {State.COMPLETED}
    return counts


def test_a_line_goes_on_without_looks_at_its_gate(app: Lineshaft, make_hand: MakeHand, looks: list[Any]) -> None:
    """One look finds room for the first that follows, one or two the end of the line; there is none between."""
    jobs = limited(app, concurrency=Concurrency(1)).enqueue_many(numbers(20))
    hand = make_hand()
    hand.step(2)
    del looks[:]
    assert run_on(hand, jobs) == [1] * 20
    assert len(looks) <= 4


def test_a_limit_that_is_lowered_holds_for_those_who_follow(app: Lineshaft, make_hand: MakeHand) -> None:
    """Nobody follows while there are more inside than may be."""
    jobs = limited(app, concurrency=Concurrency(3)).enqueue_many(numbers(30))
    hand = make_hand()
    hand.step(2)
    for _ in range(5):
        hand.end(hand.runs[0])
        hand.step()
    assert len(hand.runs) == 3
    app.limits.update("limited.concurrency", limit=1)
    assert run_on(hand, jobs)[:4] == [3, 2, 1, 1]


def test_a_limit_that_is_raised_lets_more_in(app: Lineshaft, make_hand: MakeHand) -> None:
    """The next that leaves is followed by as many as have room now."""
    jobs = limited(app, concurrency=Concurrency(1)).enqueue_many(numbers(9))
    hand = make_hand()
    hand.step(2)
    for _ in range(3):
        hand.end()
        hand.step()
    app.limits.update("limited.concurrency", limit=4)
    hand.end()
    hand.step(2)
    assert len(hand.runs) == 4
    run_on(hand, jobs)


def test_a_job_with_a_limit_of_its_own_does_not_follow_unasked(app: Lineshaft, make_hand: MakeHand) -> None:
    """Of limits that jobs bring along each job's own holds for it: one that is to be alone does not join two others."""
    task = limited(app)
    hand = make_hand()
    wide, narrow = (task.options(concurrency=Concurrency(places, name="crm")) for places in (3, 1))
    jobs: list[Job[Any]] = []
    for number in range(3):  # one by one: none of them waits
        jobs.append(wide.enqueue(number))
        hand.step()
    assert len(hand.runs) == 3
    jobs += wide.enqueue_many(numbers(4))
    jobs.append(narrow.enqueue(9))
    alone = jobs[-1].id
    jobs += wide.enqueue_many(numbers(2))
    hand.step()
    beside = 0
    while hand.runs:
        beside = max(beside, len(hand.runs) if alone in {run.id for run in hand.runs} else 0)
        hand.end(hand.runs[0])
        hand.step(2)
    assert beside == 1
    assert {job.refresh().state for job in jobs} == {State.COMPLETED}


def test_who_comes_after_the_end_of_a_line_starts_at_once(app: Lineshaft, make_hand: MakeHand) -> None:
    """The last that follows leaves nothing behind that would hold up the next one."""
    task = limited(app, concurrency=Concurrency(1))
    jobs = task.enqueue_many(numbers(5))
    hand = make_hand()
    hand.step(2)
    run_on(hand, jobs)
    late = task.enqueue(9)
    hand.step()
    assert [run.id for run in hand.runs] == [late.id]


def test_nobody_follows_one_that_was_told_to_stop_before_it_started(app: Lineshaft, make_hand: MakeHand) -> None:
    """It has asked for the gate and has never been inside: the line does not move for its end."""
    task = limited(app, concurrency=Concurrency(1))
    task.enqueue_many(numbers(9))
    hand = make_hand()
    hand.step(2)
    for _ in range(3):
        hand.end()
        hand.step()
    told = app.enqueue("limited", number=9)
    hand.engine.write(lambda tx: tx.run(_TELL_TO_STOP, {"id": told.id}))
    hand.step(3)
    assert told.refresh().state is State.CANCELLED
    assert len(hand.runs) == 1
