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
LOSS_ELSEWHERE: Final = 0.5
"""The same on a machine that the baseline is not from: processors differ in how they share Python's and SQL's work."""


class Baseline(msgspec.Struct, frozen=True):
    """Recorded ratios, and the machine that they are from."""

    machine: str
    ratios: Figures

    def allowed_loss(self, machine: str) -> float:
        """Return the share of a ratio that may be lost on a machine."""
        return LOSS if machine == self.machine else LOSS_ELSEWHERE


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
    allowed: float
    """The share of the recorded ratio that may be lost."""

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
        return self.change < -self.allowed


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


def compare(figures: Mapping[str, float], baseline: Baseline, machine: str) -> list[Comparison]:
    """Return the comparison of every ratio, measured on a machine.

    Raises `KeyError` when one was not measured or not recorded.
    """
    allowed, recorded = baseline.allowed_loss(machine), baseline.ratios
    return [Comparison(one.name, figures[one.figure], figures[one.of], recorded[one.name], allowed) for one in RATIOS]


def report(comparisons: Sequence[Comparison]) -> str:
    """Return the comparison as a Markdown table with a verdict under it."""
    lines = ["| ratio | per second | of | ratio | recorded | change |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    lines += [
        f"| {one.name} | {one.figure:,.0f} | {one.of:,.0f} | {one.measured:.3f} | {one.recorded:.3f} "
        f"| {one.change:+.0%}{' **lost**' * one.is_lost} |"
        for one in comparisons
    ]
    lost = [one.name for one in comparisons if one.is_lost]
    allowed = f"{max((one.allowed for one in comparisons), default=LOSS):.0%}"
    verdict = (
        f"slower than the baseline by more than {allowed}: {'; '.join(lost)}"
        if lost
        else f"no regression: nothing lost more than {allowed}"
    )
    return "\n".join([*lines, "", verdict])


def save_baseline(found: Figures, machine: str, path: Path = BASELINE) -> None:
    """Record ratios."""
    baseline = Baseline(machine, {name: round(value, 4) for name, value in found.items()})
    path.write_bytes(msgspec.json.format(msgspec.json.encode(baseline), indent=1) + b"\n")


def load_baseline(path: Path = BASELINE) -> Baseline:
    """Read the recorded ratios."""
    return msgspec.json.decode(path.read_bytes(), type=Baseline)
