from __future__ import annotations

import pytest

from benchmarks.harness import figures
from benchmarks.marks import Kind, Mark

SECOND = 1_000_000_000


def start(number: int, at: float) -> Mark:
    return Mark(int(at * SECOND), number, Kind.START, 1)


def end(number: int, at: float) -> Mark:
    return Mark(int(at * SECOND), number, Kind.END, 1)


@pytest.mark.parametrize("percent, expected", [(50, 50), (99, 99), (100, 100), (1, 1), (0, 1)])
def test_percentile_is_the_nearest_rank(percent: float, expected: float) -> None:
    """Of the numbers 1 to 100, the n-th percentile is n."""
    assert figures.percentile(list(range(100, 0, -1)), percent) == expected


def test_percentile_of_few_values_is_one_of_them() -> None:
    """A percentile is a value that was measured, never one between two."""
    assert figures.percentile([3.0, 1.0, 2.0], 99) == 3.0
    assert figures.percentile([3.0, 1.0, 2.0], 50) == 2.0


def test_percentile_refuses_nothing() -> None:
    """Without values there is no percentile."""
    with pytest.raises(ValueError, match="no values"):
        figures.percentile([], 50)


def test_latency_is_in_milliseconds() -> None:
    """Nanoseconds go in, milliseconds come out."""
    assert figures.latency([1_000_000, 2_000_000, 30_000_000]) == (2.0, 30.0)


def test_spread_tells_median_and_range() -> None:
    """The spread of repetitions is their median, the least and the greatest."""
    assert figures.spread([5.0, 1.0, 2.0]) == (2.0, 1.0, 5.0)


def test_drain_rate_runs_from_the_first_start_to_the_last() -> None:
    """Eleven starts in one second are ten intervals: ten jobs per second."""
    marks = [start(number, 7 + number / 10) for number in range(11)]
    assert figures.drain_rate(marks, 20) == pytest.approx(10)


def test_drain_rate_counts_a_job_once() -> None:
    """A job that ran twice counts when it first began."""
    marks = [start(0, 1.0), start(1, 2.0), start(1, 3.0)]
    assert figures.drain_rate(marks, 20) == pytest.approx(1)


def test_drain_rate_looks_at_the_first_seconds_only() -> None:
    """What begins after the limit does not slow down the rate of what began within it."""
    marks = [start(0, 1.0), start(1, 2.0), start(2, 3.0), start(3, 60.0)]
    assert figures.drain_rate(marks, 20) == pytest.approx(1)


def test_drain_rate_of_nothing_is_nought() -> None:
    """No start, or a single one, is no rate."""
    assert figures.drain_rate([], 20) == 0
    assert figures.drain_rate([start(0, 1.0)], 20) == 0


def test_pick_up_is_from_the_call_to_the_first_start() -> None:
    """A pick-up is timed for the jobs that began, from their enqueue to their first start."""
    took = figures.pick_ups({1: 5 * SECOND, 2: 6 * SECOND}, [start(1, 5.5), start(1, 9.0), start(3, 7.0)])
    assert took == [SECOND // 2]


def test_a_job_is_in_flight_between_its_start_and_its_end() -> None:
    """What began and has not ended was in flight at the kill."""
    assert figures.in_flight([start(1, 1), start(2, 1), end(1, 2)]) == {2}


def test_recovery_tells_lost_doubled_and_the_last_job_to_run_again() -> None:
    """A killed worker's jobs are counted as again, lost or doubled by what was noted after the kill."""
    marks = [start(1, 1), start(2, 1), start(1, 12), start(2, 14), end(1, 15), end(2, 16), end(2, 17)]
    found = figures.recovery(marks, killed_at_ns=10 * SECOND, held={1, 2}, jobs=range(1, 4))
    assert found == figures.Recovery(in_flight=2, again=2, lost=1, doubled=1, again_seconds=4.0)


def test_recovery_has_no_time_while_a_job_is_missing() -> None:
    """Unless every job that was in flight runs again, there is no time after which they did."""
    found = figures.recovery(
        [start(1, 1), start(2, 1), start(1, 12)], killed_at_ns=10 * SECOND, held={1, 2}, jobs=[1, 2]
    )
    assert (found.again, found.again_seconds) == (1, None)
