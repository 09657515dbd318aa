"""How a worker's room is shared among its queues by weight: exactly, at once, and without credit for the past."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from lineshaft.worker.queue_order import Weights

weights_of_queues = st.lists(st.integers(1, 20), min_size=1, max_size=6).map(
    lambda found: {f"q{number}": weight for number, weight in enumerate(found)}
)
rooms_of_rounds = st.lists(st.integers(0, 60), min_size=1, max_size=40)
PLENTY = 1_000_000


def serve(weights: Weights, room: int, waiting: dict[str, int], limits: dict[str, int] | None = None) -> dict[str, int]:
    """Take a round's jobs out of what waits, and return how many of each queue; the limits are for this round."""
    rooms = limits or dict.fromkeys(waiting, PLENTY)
    served = dict.fromkeys(waiting, 0)
    turns = weights.begin(room, {queue: own for queue, own in rooms.items() if waiting[queue]})
    while (turn := turns.next()) is not None:
        queue, wanted = turn
        count = min(wanted, waiting[queue])
        waiting[queue] -= count
        served[queue] += count
        turns.took(queue, count)
    return served


def add(total: dict[str, int], served: dict[str, int]) -> None:
    for queue, count in served.items():
        total[queue] += count


def assert_fair(served: dict[str, int], weights: dict[str, int], slack: float = 1.0) -> None:
    """Between any two queues the shares differ by less than one job of the lighter one."""
    for one, other in combinations(weights, 2):
        apart = abs(served[one] / weights[one] - served[other] / weights[other])
        assert apart <= slack / min(weights[one], weights[other]) + 1e-9


@given(weights_of_queues, rooms_of_rounds)
def test_shares_are_those_of_the_weights(weights: dict[str, int], rooms: list[int]) -> None:
    """While every queue has jobs, no round of any size leaves two queues further apart than one job."""
    order, waiting, total = Weights(weights), dict.fromkeys(weights, PLENTY), dict.fromkeys(weights, 0)
    for room in rooms:
        served = serve(order, room, waiting)
        assert sum(served.values()) == room
        add(total, served)
        assert_fair(total, weights)


@given(
    weights_of_queues, st.lists(st.tuples(st.integers(0, 30), st.lists(st.integers(0, 20), min_size=6)), max_size=30)
)
def test_no_place_is_left_empty(weights: dict[str, int], rounds: list[tuple[int, list[int]]]) -> None:
    """A round takes as many jobs as there is room for, or all that wait: an idle queue's share goes to the others."""
    order, waiting = Weights(weights), dict.fromkeys(weights, 0)
    for room, arrivals in rounds:
        for queue, count in zip(weights, arrivals, strict=False):
            waiting[queue] += count
        had = sum(waiting.values())
        assert sum(serve(order, room, waiting).values()) == min(room, had)


@given(weights_of_queues, st.lists(st.tuples(st.integers(0, 30), st.lists(st.integers(0, 9), min_size=6)), max_size=30))
def test_limits_of_queues_hold(weights: dict[str, int], rounds: list[tuple[int, list[int]]]) -> None:
    """No queue is asked for more than it has room, and what it cannot take goes to the others."""
    order, waiting = Weights(weights), dict.fromkeys(weights, PLENTY)
    for room, own in rounds:
        limits = dict(zip(weights, own, strict=False))
        served = serve(order, room, waiting, limits)
        assert all(served[queue] <= limits[queue] for queue in served)
        assert sum(served.values()) == min(room, sum(limits.values()))


@given(weights_of_queues, rooms_of_rounds, rooms_of_rounds, st.data())
def test_who_comes_back_has_no_credit(
    weights: dict[str, int], before: list[int], after: list[int], data: st.DataObject
) -> None:
    """Queues that had no jobs for a while share as if all began now, and those that went on owe nothing."""
    order, total = Weights(weights), dict.fromkeys(weights, 0)
    idle = data.draw(st.sets(st.sampled_from(sorted(weights)), max_size=len(weights) - 1))
    waiting = {queue: 0 if queue in idle else PLENTY for queue in weights}
    for room in before:
        serve(order, room, waiting)
    waiting |= dict.fromkeys(weights, PLENTY)
    for room in after:
        add(total, serve(order, room, waiting))
        assert_fair(total, weights, slack=2.0)  # a job that one had more before counts as well


@given(weights_of_queues, st.lists(st.integers(1, 5), min_size=1, max_size=20))
def test_nothing_starves(weights: dict[str, int], rooms: list[int]) -> None:
    """However the rounds fell so far, a queue is next after its share of jobs of the others, and one more of each."""
    order, waiting = Weights(weights), dict.fromkeys(weights, PLENTY)
    for room in rooms:
        serve(order, room, waiting)
    lightest = min(weights.values())
    served = serve(order, sum(-(-weight // lightest) + 1 for weight in weights.values()), waiting)
    assert all(served.values())


def test_a_round_is_six_three_one() -> None:
    """Ten places are shared as 6:3:1, round after round."""
    order, waiting = Weights({"a": 6, "b": 3, "c": 1}), dict.fromkeys("abc", PLENTY)
    assert [serve(order, 10, waiting) for _ in range(3)] == [{"a": 6, "b": 3, "c": 1}] * 3


def test_single_places_are_shared_too() -> None:
    """Where places come free one by one, each goes to the queue that is furthest behind."""
    order, waiting, total = Weights({"a": 2, "b": 1}), dict.fromkeys("ab", PLENTY), dict.fromkeys("ab", 0)
    for _ in range(300):
        add(total, serve(order, 1, waiting))
    assert total == {"a": 200, "b": 100}


def test_a_queue_that_was_short_is_asked_first() -> None:
    """What it has no jobs for is known before the others are asked, so that none is asked twice."""
    order = Weights({"a": 6, "b": 3, "c": 1})
    rooms = dict.fromkeys("abc", PLENTY)
    first = order.begin(10, rooms)
    asked = []
    while (turn := first.next()) is not None:
        asked.append(turn[0])
        first.took(turn[0], 0 if turn[0] == "c" else turn[1])
    assert asked == ["a", "b", "c", "a"]
    second = order.begin(10, rooms)
    asked.clear()
    while (turn := second.next()) is not None:
        asked.append(turn[0])
        second.took(turn[0], 0 if turn[0] == "c" else turn[1])
    assert asked == ["c", "a", "b"]
