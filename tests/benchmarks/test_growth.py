"""The arithmetic of growth and soak: rates, ratios, verdicts, and what is written into the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.growth import LEAST_RATIO, _held_line, _line
from benchmarks.load.page import table, write_section
from benchmarks.load.worker import Note, rate_between, rates_over_time
from benchmarks.soak import Sample, _faults

if TYPE_CHECKING:
    from pathlib import Path

STEADY = [Sample(10.0 * number, 1_000.0, 20.0, 9.0, 5.0, 200.0, 50.0) for number in range(1, 10)]


def test_rates_come_from_the_notes() -> None:
    """A rate is calls by seconds between two notes, and in a window by what was noted until its end."""
    notes = [Note(1_000, 10.0), Note(2_000, 10.5), Note(5_000, 12.0)]
    assert rate_between(notes, 2_000, 5_000) == 2_000
    assert rates_over_time(notes, 1.0, 2.0) == [2_000, 3_000]
    assert rates_over_time([], 1.0, 2.0) == []


def test_growth_is_judged_by_the_ratio_of_medians() -> None:
    """A rate has to keep its share, a time must not exceed the inverse, and noise is shown beside it."""
    rate = _line("drain", ([100.0, 100.0, 100.0], [90.0, 10.0, 95.0]), "{:.0f}", LEAST_RATIO)
    assert rate == ("drain", "100", "90", "90%", "10% to 95%", "≥ 85%", "yes")
    assert _line("drain", ([100.0], [84.0]), "{:.0f}", LEAST_RATIO)[-1] == "**no**"
    assert _line("claim", ([1.0], [1.3]), "{:.1f}", 1 / LEAST_RATIO)[-2:] == ("≤ 118%", "**no**")
    assert _line("claim", ([1.0], [1.3]), "{:.1f}", None)[-1] == ""


def test_held_transaction_is_judged_by_what_is_lost() -> None:
    """Beside a held transaction at least half of the rate has to be kept."""
    assert _held_line("0 to 15", 1_000.0, 500.0)[-1] == "yes"
    assert _held_line("0 to 15", 1_000.0, 490.0)[-1] == "**no**"


@pytest.mark.parametrize(
    "figure, value", [("live", 30), ("indexes", 12), ("log", 9), ("bytes_a_job", 230), ("worker", 60)]
)
def test_soak_sees_what_grows(figure: str, value: float) -> None:
    """One size that has grown in the last third is told with its numbers; a steady run has no fault."""
    assert _faults(STEADY) == []
    [fault] = _faults([*STEADY[:-1], STEADY[-1]._replace(**{figure: value})])
    assert f"grew to {value:,.1f}" in fault


def test_soak_sees_a_rate_that_falls() -> None:
    """A rate that has fallen by more than 15 % is told, and so is a run that is too short."""
    slow = [one._replace(rate=800.0) for one in STEADY[-3:]]
    assert _faults([*STEADY[:-3], *slow]) == ["jobs/s: 1,000 fell to 800"]
    assert _faults(STEADY[:2]) == ["the run was too short to tell"]


def test_sections_are_written_between_their_markers(tmp_path: Path) -> None:
    """A section is replaced as a whole, what stands around it stays, and a missing one is an error."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a:begin -->\nold\n<!-- a:end -->\nafter\n")
    for _ in range(2):
        write_section("a", table(["n"], [[1]]), page)
    assert page.read_text() == "before\n<!-- a:begin -->\n\n| n |\n| --- |\n| 1 |\n\n<!-- a:end -->\nafter\n"
    with pytest.raises(ValueError, match="b:begin"):
        write_section("b", "", page)
