"""The flow-control benchmark: its figures are judged by their targets, and a short run prints all of them."""

from __future__ import annotations

import pytest

from benchmarks.flow.__main__ import main
from benchmarks.flow.draining import Ratio
from benchmarks.flow.queues import WEIGHTS, shares
from benchmarks.flow.rates import exact
from benchmarks.flow.site import Site
from benchmarks.flow.turns import Start, late_line, start_of

FIGURES = (
    "1,000 keys",
    "200 behind a rate",
    "10/s of a key",
    "10/s of a queue",
    "a lone job beside 200",
    "an enqueue into a fair queue",
    "1,000 places",
    "a rate of 1,000,000/s",
    "weights 6:3:1",
)
SITE = Site("SQLite", "sqlite:///none.db")


@pytest.mark.parametrize(
    "by_cpu, by_clock, is_reached", [(0.5, 0.5, True), (0.49, 0.9, False), (0.9, 0.49, False), (1.1, 1.2, True)]
)
def test_a_ratio_has_to_hold_by_both_clocks(by_cpu: float, by_clock: float, is_reached: bool) -> None:  # noqa: FBT001
    """What is missed by the clock or by processor time is missed."""
    assert Ratio(by_cpu, by_clock, 30.0).line(SITE, "figure", 0.5).is_reached is is_reached


@pytest.mark.parametrize("spacing, is_reached", [(0.1, True), (0.103, False), (0.097, False), (0.1015, True)])
def test_a_rate_is_judged_by_two_percent(spacing: float, is_reached: bool) -> None:  # noqa: FBT001 - a case
    """Starts of a minute are counted after two seconds; more than two percent off is missed, on either side."""
    starts = [100.0 + number * spacing for number in range(700)]
    assert exact(SITE, "figure", starts, 60.0).is_reached is is_reached


def test_a_lone_job_is_late_since_the_next_slot() -> None:
    """What counts is the time since the first start after its enqueue; one of twenty may be behind a claim."""
    started = [(9.0, "large"), (10.5, "large"), (10.52, "lone"), (10.6, "large")]
    start = start_of("lone", 10.0, started)
    assert (round(start.seconds, 6), round(start.late, 6), start.between) == (0.52, 0.02, 1)
    late = Start(1.0, 0.051, 3)
    assert late_line(SITE, 10, [*[start] * 38, late, late]).is_reached
    assert not late_line(SITE, 10, [*[start] * 37, late, late, late]).is_reached


def test_shares_are_judged_by_one_percent() -> None:
    """Jobs that started in the proportion of the weights are right, another proportion is not."""
    fair = [queue for queue, weight in WEIGHTS.items() for _ in range(100 * weight)]
    assert shares(SITE, fair).is_reached
    assert not shares(SITE, [*fair[20:], *["low"] * 20]).is_reached


@pytest.mark.timeout(150)
def test_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """A short run prints every figure with its target."""
    main(["--only", "sqlite", "--jobs", "200", "--rounds", "1", "--crowd", "200", "--seconds", "1", "--waiting", "200"])
    said = capsys.readouterr().out
    for figure in FIGURES:
        assert said.count(figure) == 1
