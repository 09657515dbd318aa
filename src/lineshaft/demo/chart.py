"""A bar chart as inline SVG: no script, no network, colours from the page's style."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

Bar = tuple[str, int]

WIDTH: Final = 860
_ROW: Final = 26
_THICKNESS: Final = 16
_LABELS: Final = 150
_NUMBERS: Final = 80
_GLYPH: Final = 7.0
"""The width of a character in the labels' font, in the drawing's units, on the safe side."""


def bar_chart(bars: Sequence[Bar], title: str) -> str:
    """Return horizontal bars, one a row, labelled left and numbered at their ends, as one `<svg>` element.

    `bars` are (label, value) with values from 0; `title` is what a screen reader says.
    """
    largest = max((value for _, value in bars), default=0) or 1
    rows = "".join(_bar(index, label, value / largest, value) for index, (label, value) in enumerate(bars))
    height = _ROW * len(bars)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f'<line class="axis" x1="{_LABELS}" y1="0" x2="{_LABELS}" y2="{height}"/>{rows}</svg>'
    )


def _bar(index: int, label: str, share: float, value: int) -> str:
    middle = index * _ROW + _ROW / 2
    length = max(1.0, share * (WIDTH - _LABELS - _NUMBERS))
    return (
        f"<g><title>{escape(label)}: {value:,}</title>"
        f'<text class="label" x="{_LABELS - 8}" y="{middle}">{escape(_shorten(label))}</text>'
        f'<rect class="bar" x="{_LABELS}" y="{middle - _THICKNESS / 2}" width="{length:.1f}" height="{_THICKNESS}"'
        f' rx="2"/><text class="value" x="{_LABELS + length + 8:.1f}" y="{middle}">{value:,}</text></g>'
    )


def _shorten(label: str) -> str:
    room = int((_LABELS - 8) / _GLYPH)
    return label if len(label) <= room else f"{label[: room - 1]}…"
