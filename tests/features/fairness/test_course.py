"""Places drawn at enqueue, served in their order, are fair: against what an exact scheduler would do."""

from __future__ import annotations

from fractions import Fraction
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from lineshaft.clock import SECOND
from lineshaft.options.fair import UNIT, Fair
from tests.features.fairness.course import Course, Waiting

NOW = 1_800_000_000 * SECOND
EXACT = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 20, 60)
"""Weights that divide a unit into even steps."""
patient = settings(deadline=None, max_examples=60)
weights = st.lists(st.sampled_from(EXACT), min_size=2, max_size=5)


class Queue:
    """A queue whose jobs are stored and served one after another."""

    def __init__(self, given: list[int]) -> None:
        self.fair = Fair("tenant", {f"t{number}": weight for number, weight in enumerate(given)})
        self.weights = {f"=t{number}": weight for number, weight in enumerate(given)}
        self.course = Course()
        self.names = (f"{number:06}" for number in count())

    def enqueue(self, key: str, number: int, now: int = NOW) -> list[str]:
        """Store jobs of one."""
        places = self.course.draw({key: (self.fair.step(key), number)}, now)[key]
        names = [next(self.names) for _ in places]
        self.course.jobs |= {name: Waiting(place, key) for name, place in zip(names, places, strict=True)}
        return names

    def serve(self) -> tuple[str, str]:
        """Run the next job to its end, and return its name and whose it was."""
        name = self.course.first()
        assert name is not None
        return name, self.course.jobs.pop(name).key

    def waiting(self, key: str) -> int:
        """How many jobs of one wait."""
        return sum(job.key == key for job in self.course.jobs.values())


@given(weights, st.lists(st.integers(0, 4), max_size=60))
@patient
def test_shares_of_those_that_wait(given: list[int], pieces: list[int]) -> None:
    """As long as some have jobs waiting, what each was served, by its weight, differs by one job of each at most."""
    queue = Queue(given)
    served = dict.fromkeys(queue.weights, 0)
    for number, key in enumerate(queue.weights):
        queue.enqueue(key, 40 + number)
    more = iter(pieces)
    while all(map(queue.waiting, queue.weights)):
        key = list(queue.weights)[next(more, 9) % len(queue.weights)]
        queue.enqueue(key, 1)  # who comes with more while its own wait has no more of the service by it
        served[queue.serve()[1]] += 1
        if sum(served.values()) > 120:
            break
        for one, weight in queue.weights.items():
            for other, beside in queue.weights.items():
                difference = Fraction(served[one], weight) - Fraction(served[other], beside)
                assert difference <= Fraction(1, weight) + Fraction(1, beside)


@given(weights, st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)), min_size=1, max_size=20))
@patient
def test_the_first_of_an_idle_one_is_next(given: list[int], steps: list[tuple[int, int]]) -> None:
    """Whoever has nothing waiting and was served no more than others is next, behind such that came before it."""
    queue = Queue(given)
    for index, number in steps:
        queue.enqueue(list(queue.weights)[index % len(given)], number + 1)
        for _ in range(min(number // 2, len(queue.course.jobs))):
            queue.serve()
    [first] = queue.enqueue("=new", 1)
    [second] = queue.enqueue("=newer", 1)
    order = [queue.serve()[0] for _ in range(min(len(queue.course.jobs), 8 + len(given)))]
    assert order.index(first) < order.index(second)
    assert all(name < first for name in order[: order.index(second)] if name != first)
    assert order.index(first) <= len(given)  # one of each that had none waiting either


def test_many_to_one() -> None:
    """However many jobs of one wait, the first of another is the next."""
    queue = Queue([1])
    queue.enqueue("=t0", 50_000)
    for _ in range(10):
        queue.serve()
    [lone] = queue.enqueue("=lone", 1)
    assert queue.serve() == (lone, "=lone")


@given(st.integers(1, 50), st.integers(0, 30), st.integers(12, 100))
@patient
def test_a_cancelled_backlog_is_forgotten(backlog: int, others: int, seconds: int) -> None:
    """Whose jobs were cancelled stands, seconds later, no further behind than one job after the last of all."""
    queue = Queue([1])
    queue.enqueue("=t0", 1_000 * backlog)
    queue.enqueue("=other", others + 1)
    queue.course.jobs = {name: job for name, job in queue.course.jobs.items() if job.key == "=other"}
    tail = queue.course.tail(NOW)
    [name] = queue.enqueue("=t0", 1, NOW + seconds * SECOND)
    assert queue.course.jobs[name].place <= tail + UNIT + 1


@given(st.lists(st.integers(1, 500), min_size=2, max_size=12))
@patient
def test_what_is_not_visible_yet_counts(pieces: list[int]) -> None:
    """Several producers of one that draw before any of their jobs is visible draw behind each other."""
    queue = Queue([1])
    queue.enqueue("=other", 1_000)
    drawn: list[int] = []
    for number, piece in enumerate(pieces):
        drawn += queue.course.draw({"=t0": (UNIT, piece)}, NOW + number * 50_000)["=t0"]
    assert len(set(drawn)) == len(drawn)
    assert drawn == sorted(drawn)


@given(st.integers(1, 200), st.integers(1, 100))
@patient
def test_a_job_that_comes_back_takes_nobody_back(served: int, late: int) -> None:
    """While a job stands that came back to its old place, newcomers draw where the queue has come to."""
    queue = Queue([1])
    queue.enqueue("=t0", 500)
    taken = queue.course.jobs[queue.course.first() or ""]
    for _ in range(served):
        queue.serve()
    reached = queue.course.head(NOW)
    taken.came_back = True
    queue.course.jobs["000000"] = taken
    places = queue.course.draw({"=late": (UNIT, late)}, NOW)["=late"]
    assert places[0] in (reached - 1, reached)
    assert queue.course.first() == "000000"
