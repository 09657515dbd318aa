"""Lines, steps and bars over time, in one manner for all pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.pictures.stage import Span

Points = Sequence[tuple[float, float]]

COLOURS = ("#2563eb", "#ea580c", "#16a34a", "#9333ea", "#64748b")
GREY = "#94a3b8"
RED = "#dc2626"
_WIDTH, _HEIGHT = 9.0, 2.8
_SHORTEST = 0.02
"""A bar that is shorter would not be seen, in seconds."""
# Paths and not fonts would make each picture five times as large; the salt keeps ids the same from run to run.
mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "lineshaft", "font.size": 10, "font.family": "sans-serif"})


def figure(title: str, y_label: str, *, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """Return an empty picture with one time axis and so many rows."""
    made = Figure(figsize=(_WIDTH, _HEIGHT * (1 + (rows - 1) * 0.6)), layout="constrained")
    axes: list[Axes] = list(made.subplots(rows, 1, sharex=True, squeeze=False)[:, 0])
    axes[0].set_title(title, loc="left", fontsize=11, fontweight="bold")
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.grid(axis="y", color="#e2e8f0", linewidth=0.8)
        one.set_axisbelow(True)
        one.set_ylabel(y_label)
    axes[-1].set_xlabel("seconds")
    return made, axes


def running(spans: Iterable[Span]) -> Points:
    """Return how many of these ran at once, as steps; what ended when another began ended before."""
    moves = sorted(move for one in spans for move in ((one.start, 1), (one.end, -1)))
    count, found = 0, [(0.0, 0.0)]
    for at, step in moves:
        count += step
        found.append((at, float(count)))
    return found


def started(spans: Iterable[Span]) -> Points:
    """Return how many of these had started by when, as steps."""
    return [(0.0, 0.0), *((one.start, number) for number, one in enumerate(sorted(spans, key=lambda s: s.start), 1))]


def steps(axes: Axes, points: Points, label: str, colour: str, *, is_filled: bool = False) -> None:
    """Draw a value that holds until the next one."""
    x, y = [x for x, _ in points], [y for _, y in points]
    axes.step(x, y, where="post", label=label, color=colour, linewidth=1.4)
    if is_filled:
        axes.fill_between(x, y, step="post", color=colour, alpha=0.2, linewidth=0)


def limit(axes: Axes, value: float, label: str) -> None:
    """Draw the line that nothing may cross."""
    axes.axhline(value, color=RED, linestyle="--", linewidth=1.2, label=label)


def bars(axes: Axes, spans: Iterable[Span], labels: Sequence[str]) -> None:
    """Draw each attempt as a bar in the row of its label, with what it says; a failed one is red."""
    for one in spans:
        row = labels.index(one.label)
        colour = COLOURS[row % len(COLOURS)] if one.is_ok else RED
        width = max(one.end - one.start, _SHORTEST)
        axes.barh(row, width, left=one.start, height=0.6, color=colour, edgecolor="white")
        axes.text(one.start + width / 2, row, one.text, ha="center", va="center", color="white", fontsize=9)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.grid(visible=False)


def save(made: Figure, path: Path) -> None:
    """Write a picture; every row that has names shows them."""
    for one in made.axes:
        one.set_xlim(left=0)
        if one.get_legend_handles_labels()[0]:
            one.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=9)
    metadata: dict[str, Any] = {"Date": None, "Creator": "make pictures"}
    made.savefig(path, format="svg", metadata=metadata)
