"""The moves of a circuit breaker as a diagram, with the words of `features/breaker/moves.py`."""

from __future__ import annotations

from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from benchmarks.pictures.drawing import COLOURS, GREY, RED
from lineshaft.features.breaker.moves import MOVES, Phase

_PLACES: Final = {
    Phase.CLOSED: (1.6, 3.0, COLOURS[2], "jobs run"),
    Phase.OPEN: (8.4, 3.0, RED, "jobs wait, or fail"),
    Phase.HALF_OPEN: (5.0, 0.9, COLOURS[1], "a few are let through"),
}
"""Where each phase stands, its colour, and what it does."""
_WIDTH, _HEIGHT = 2.4, 0.9
_ARROWS: Final = {
    "trip": ((2.8, 3.15), (7.2, 3.15), 0.0, (5.0, 3.32)),
    "rest": ((7.9, 2.55), (6.2, 1.25), 0.0, (6.2, 2.05)),
    "relapse": ((6.2, 0.75), (8.6, 2.55), 0.35, (8.45, 1.2)),
    "recover": ((3.8, 0.9), (1.6, 2.55), -0.35, (1.55, 1.2)),
}
"""From where to where, how bent, and where its words stand."""


def breaker_moves() -> Figure:
    """Return the diagram of what a breaker does by itself."""
    made = Figure(figsize=(9, 3.2), layout="constrained")
    axes = made.subplots()
    axes.set_xlim(0, 10)
    axes.set_ylim(0.2, 3.7)
    axes.axis("off")
    for phase in _PLACES:
        _draw_phase(axes, phase)
    for name, move in MOVES.items():
        if name in _ARROWS:
            _draw_arrow(axes, name, move.when)
    return made


def _draw_phase(axes: Axes, phase: Phase) -> None:
    x, y, colour, does = _PLACES[phase]
    corner = (x - _WIDTH / 2, y - _HEIGHT / 2)
    axes.add_patch(FancyBboxPatch(corner, _WIDTH, _HEIGHT, "round,pad=0,rounding_size=0.2", fc=colour, ec="none"))
    axes.text(x, y + 0.14, phase.value.replace("_", "-"), ha="center", va="center", color="white", weight="bold")
    axes.text(x, y - 0.2, does, ha="center", va="center", color="white", fontsize=9)


def _draw_arrow(axes: Axes, name: str, when: str) -> None:
    start, end, bend, at = _ARROWS[name]
    style = f"arc3,rad={bend}"
    axes.add_patch(FancyArrowPatch(start, end, connectionstyle=style, arrowstyle="-|>", mutation_scale=14, color=GREY))
    axes.text(*at, when, ha="center", va="center", fontsize=9)
