"""A job that replaces another one gives it its own place: in a strict order, and among those that take turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lineshaft import Lineshaft, Order, Unique
from lineshaft.store.explain import stored_job
from lineshaft.transitions import State
from tests.plugins.apps import eventually
from tests.worker.crew import Hand

if TYPE_CHECKING:
    import pytest

    from lineshaft import Job

REPLACE = Unique(by="number", on_conflict="replace")


def test_a_replaced_job_moves_to_the_order_of_its_new_arguments(app: Lineshaft, request: pytest.FixtureRequest) -> None:
    """A job that gets another key leaves its strict order, and has the place of its id in the other one."""

    @app.task(name="ordered", concurrency=Order("key"), unique=REPLACE)
    def ordered(key: str, number: int) -> None:
        """Never really run."""

    app.migrate()
    hand = Hand(app, 7)
    request.addfinalizer(hand.close)
    first, second, third, fourth = (ordered.enqueue(key, number) for number, key in enumerate("aaba"))
    assert ordered.enqueue("b", 1).id == second.id
    assert ordered.enqueue("a", 2).id == third.id
    twin, same = ordered.enqueue_many([("a", 4), ("b", 4)])
    assert twin.id == same.id
    for expected in ({first.id: "a", second.id: "b"}, {third.id: "a", twin.id: "b"}, {fourth.id: "a"}):
        eventually(lambda expected=expected: (hand.step(), len(hand.runs) == len(expected))[1])  # type: ignore[misc]
        orders = {job_id: f"ordered.order.key={key}" for job_id, key in expected.items()}
        assert {run.id: run.claimed.sequence for run in hand.runs} == orders
        hand.end()


def test_a_replaced_job_takes_the_turn_of_its_new_arguments(app: Lineshaft, request: pytest.FixtureRequest) -> None:
    """A job that becomes somebody else's draws their turn, one that does not keeps it, and a plain queue has none."""

    @app.task(name="work", fair_key="key", unique=REPLACE)
    def work(key: str, number: int) -> None:
        """Never really run."""

    app.queues.update("default", fair="key")
    waiting = [work.enqueue("a", number) for number in range(6)]
    kept = turn_of(app, waiting[5])
    assert work.enqueue("a", 5).id == waiting[5].id
    assert turn_of(app, waiting[5]) == kept
    assert work.enqueue("b", 4).id == waiting[4].id
    assert turn_of(app, waiting[4]) == ("=b", None)
    hand = Hand(app, 7, slots=1)
    request.addfinalizer(hand.close)
    hand.step(2)  # the first of a; what is due draws
    whose, place = turn_of(app, waiting[4])
    assert whose == "=b"
    assert place is not None
    assert place < (turn_of(app, waiting[1])[1] or 0)
    work.options(queue="plain").enqueue("c", 3)
    assert turn_of(app, waiting[3]) == (None, None)
    assert waiting[3].refresh().state is State.QUEUED


def turn_of(app: Lineshaft, job: Job[None]) -> tuple[str | None, int | None]:
    """Return whose turn a job takes, and its place."""
    found = app.runtime().engine.read(lambda tx: stored_job(tx, job.id))
    assert found is not None
    return found.fair, found.turn
