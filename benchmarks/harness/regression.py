"""Comparing a quick run with the recorded baseline, as ratios. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from benchmarks.harness.results import Figures

BASELINE: Final = Path(__file__).parents[1] / "baseline.json"
LOSS: Final = 0.25
"""The share of a ratio that may be lost before it counts as a regression."""


class Ratio(NamedTuple):
    """One figure of Lineshaft as a share of another figure of the same run."""

    name: str
    figure: str
    of: str


RATIOS: Final = tuple(
    Ratio(f"{store}: {name}", f"{store}-{figure}", f"{store}-{of}")
    for store in ("SQLite", "PostgreSQL")
    for name, figure, of in (
        ("drain, threads / bare loop", "threads", "raw-drain_one"),
        ("drain, async / bare loop", "async", "raw-drain_one"),
        ("single enqueue / bare one-row commit", "single", "raw-single_per_second"),
        ("bulk enqueue / bare bulk insert", "bulk", "raw-bulk_per_second"),
    )
)


class Comparison(NamedTuple):
    """A ratio beside the recorded one."""

    name: str
    figure: float
    """Lineshaft's, per second."""
    of: float
    """What it is compared with, per second."""
    recorded: float

    @property
    def measured(self) -> float:
        """The ratio of this run."""
        return self.figure / self.of

    @property
    def change(self) -> float:
        """The change as a share of the recorded ratio, negative for a loss."""
        return self.measured / self.recorded - 1

    @property
    def is_lost(self) -> bool:
        """Whether more was lost than noise explains."""
        return self.change < -LOSS


def best(rounds: Sequence[Figures]) -> Figures:
    """Return the best of each figure: what disturbs a measurement only makes it slower."""
    found: Figures = {}
    for one in rounds:
        for key, value in one.items():
            found[key] = max(value, found.get(key, 0.0))
    return found


def ratios(figures: Mapping[str, float]) -> Figures:
    """Return the ratios of the figures by name; raises `KeyError` for a figure that is missing."""
    return {ratio.name: figures[ratio.figure] / figures[ratio.of] for ratio in RATIOS}


def compare(figures: Mapping[str, float], recorded: Mapping[str, float]) -> list[Comparison]:
    """Return the comparison of every ratio; raises `KeyError` when one was not measured or not recorded."""
    return [Comparison(one.name, figures[one.figure], figures[one.of], recorded[one.name]) for one in RATIOS]


def report(comparisons: Sequence[Comparison]) -> str:
    """Return the comparison as a Markdown table with a verdict under it."""
    lines = ["| ratio | per second | of | ratio | recorded | change |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    lines += [
        f"| {one.name} | {one.figure:,.0f} | {one.of:,.0f} | {one.measured:.3f} | {one.recorded:.3f} "
        f"| {one.change:+.0%}{' **lost**' * one.is_lost} |"
        for one in comparisons
    ]
    lost = [one.name for one in comparisons if one.is_lost]
    verdict = f"slower than the baseline by more than {LOSS:.0%}: {'; '.join(lost)}" if lost else "no regression"
    return "\n".join([*lines, "", verdict])


def save_baseline(found: Figures, path: Path = BASELINE) -> None:
    """Record ratios."""
    rounded = {name: round(value, 4) for name, value in found.items()}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(rounded), indent=1) + b"\n")


def load_baseline(path: Path = BASELINE) -> Figures:
    """Read the recorded ratios."""
    return msgspec.json.decode(path.read_bytes(), type=Figures)
