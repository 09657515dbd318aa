from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.harness import regression

FIGURES = {name: 1_000.0 for ratio in regression.RATIOS for name in (ratio.figure, ratio.of)}
HERE = "2 cores of a kind"
RECORDED = regression.Baseline(HERE, dict.fromkeys((ratio.name for ratio in regression.RATIOS), 1.0))
FIRST = regression.RATIOS[0]


def test_equal_figures_are_no_regression() -> None:
    """A run whose ratios are those of the baseline loses nothing."""
    compared = regression.compare(FIGURES, RECORDED, HERE)
    assert not any(one.is_lost for one in compared)
    assert regression.report(compared).endswith("no regression: nothing lost more than 25%")


@pytest.mark.parametrize("figure, is_lost", [(751.0, False), (749.0, True)])
def test_more_than_a_quarter_lost_is_a_regression(figure: float, is_lost: bool) -> None:  # noqa: FBT001
    """A ratio may lose a quarter of what was recorded and not more."""
    compared = regression.compare(FIGURES | {FIRST.figure: figure}, RECORDED, HERE)
    assert [one.name for one in compared if one.is_lost] == [FIRST.name] * is_lost


@pytest.mark.parametrize("figure, is_lost", [(501.0, False), (499.0, True)])
def test_another_kind_of_machine_may_lose_half(figure: float, is_lost: bool) -> None:  # noqa: FBT001
    """On a machine that the baseline is not from, a ratio may lose half and not more, and the report says so."""
    compared = regression.compare(FIGURES | {FIRST.figure: figure}, RECORDED, "2 cores of another kind")
    assert [one.name for one in compared if one.is_lost] == [FIRST.name] * is_lost
    assert "more than 50%" in regression.report(compared)


def test_the_report_names_what_was_lost() -> None:
    """The verdict under the table names each ratio that was lost, and marks it in the table."""
    report = regression.report(regression.compare(FIGURES | {FIRST.figure: 500.0}, RECORDED, HERE))
    assert report.splitlines()[-1].endswith(f"more than 25%: {FIRST.name}")
    assert "-50% **lost**" in report


def test_a_slow_machine_is_no_regression() -> None:
    """When the machine is half as fast for everything, the ratios stay and nothing is lost."""
    slow = {name: value / 2 for name, value in FIGURES.items()}
    assert not any(one.is_lost for one in regression.compare(slow, RECORDED, HERE))


def test_the_best_of_the_rounds_counts() -> None:
    """A figure that was disturbed in one round is taken from another."""
    assert regression.best([{"a": 1.0, "b": 5.0}, {"a": 3.0, "b": 2.0}]) == {"a": 3.0, "b": 5.0}


def test_the_baseline_comes_back_as_it_was_recorded(tmp_path: Path) -> None:
    """A recorded baseline is read again with four digits, and its machine."""
    path = tmp_path / "baseline.json"
    regression.save_baseline({"a / b": 0.123456}, HERE, path)
    assert regression.load_baseline(path) == regression.Baseline(HERE, {"a / b": 0.1235})


def test_the_committed_baseline_names_every_ratio() -> None:
    """The baseline in the repository has a value for each ratio that is compared, and no others."""
    assert regression.load_baseline().ratios.keys() == RECORDED.ratios.keys()
