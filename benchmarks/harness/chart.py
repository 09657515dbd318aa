"""Bar charts as SVG, by hand: they need to be looked at, not programmed. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from benchmarks.harness.results import METRICS, Run, SubjectResult

WIDTH: Final = 860
_LABELS: Final = 275
_ROOM: Final = WIDTH - _LABELS - 85
_BAR: Final = 18
_ROW: Final = 28
_TOP: Final = 74
_BOTTOM: Final = 22
_LEAST_WHISKER: Final = 2
_COLOURS: Final = {"lineshaft": "#c2410c", "peer": "#64748b", "limit": "#d6d3d1"}
_FONT: Final = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
_INK: Final = "#1c1917"
_GREY: Final = "#57534e"


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a chart."""

    label: str
    value: float
    low: float
    high: float
    kind: str


def rates_chart(run: Run, metric: str, title: str, note: str) -> str:
    """Return a chart of a rate: all subjects that have it, the fastest first, whiskers from least to greatest."""
    bars = sorted(_bars(run.subjects, metric), key=lambda bar: -bar.value)
    return draw(title, note, bars, Linear(bars), METRICS[metric].digits)


def times_chart(run: Run, metric: str, title: str, note: str) -> str:
    """Return a chart of a time, the shortest first, on a logarithmic scale: times differ by thousands."""
    bars = sorted(_bars(run.subjects, metric), key=lambda bar: bar.value)
    return draw(title, note, bars, Logarithmic(bars), METRICS[metric].digits)


class Linear:
    """Lengths in proportion, from nought."""

    def __init__(self, bars: Sequence[Bar]) -> None:
        self._greatest = max((bar.high for bar in bars), default=1.0)

    def place(self, value: float) -> float:
        """Return how far a value is from the left edge, as a share of the room."""
        return value / self._greatest

    def ticks(self) -> list[float]:
        """Return the values that get a line; a bar that is labelled needs none."""
        return []


class Logarithmic:
    """Lengths by powers of ten, from the power below the least value to the one above the greatest."""

    def __init__(self, bars: Sequence[Bar]) -> None:
        self._first = math.floor(math.log10(min((bar.low for bar in bars), default=1.0)))
        self._last = max(math.ceil(math.log10(max((bar.high for bar in bars), default=10.0))), self._first + 1)

    def place(self, value: float) -> float:
        """Return how far a value is from the left edge, as a share of the room."""
        return (math.log10(value) - self._first) / (self._last - self._first)

    def ticks(self) -> list[float]:
        """Return the powers of ten."""
        return [10.0**power for power in range(self._first, self._last + 1)]


def draw(title: str, note: str, bars: Sequence[Bar], scale: Linear | Logarithmic, digits: int) -> str:
    """Return the SVG of horizontal bars."""
    bottom = _TOP + _ROW * len(bars) + 2
    parts = [
        _tag("rect", width=WIDTH, height=bottom + _BOTTOM, rx=8, fill="#ffffff"),
        _tag("text", title, x=24, y=34, font_size=18, font_weight=600, fill=_INK),
        _tag("text", note, x=24, y=55, font_size=12.5, fill=_GREY),
        *_draw_ticks(scale, bottom),
        _tag("path", d=f"M{_LABELS} {_TOP - 4}V{bottom}", stroke="#a8a29e"),
    ]
    for place, bar in enumerate(bars):
        parts += _draw_bar(bar, _TOP + _ROW * (place + 0.5), scale, digits)
    return _open(title, bottom + _BOTTOM) + "\n".join(parts) + "\n</svg>\n"


def _bars(subjects: Sequence[SubjectResult], metric: str) -> list[Bar]:
    found = [(one, one.spread(metric)) for one in subjects]
    return [Bar(one.label, s.median, s.low, s.high, one.kind) for one, s in found if s is not None]


def _draw_ticks(scale: Linear | Logarithmic, bottom: float) -> Iterator[str]:
    for value in scale.ticks():
        x = _LABELS + scale.place(value) * _ROOM
        yield _tag("path", d=f"M{x:.1f} {_TOP - 4}V{bottom}", stroke="#e7e5e4")
        yield _tag("text", f"{value:,g}", x=x, y=bottom + 14, font_size=11, text_anchor="middle", fill=_GREY)


def _draw_bar(bar: Bar, middle: float, scale: Linear | Logarithmic, digits: int) -> Iterator[str]:
    low, end, high = (_LABELS + scale.place(value) * _ROOM for value in (bar.low, bar.value, bar.high))
    weight = 600 if bar.kind == "lineshaft" else 400
    text: dict[str, Any] = {"y": middle + 4.5, "font_size": 13, "font_weight": weight, "fill": _INK}
    yield _tag("text", bar.label, x=_LABELS - 10, text_anchor="end", **text)
    yield _tag(
        "rect", x=_LABELS, y=middle - _BAR / 2, width=max(end - _LABELS, 1), height=_BAR, fill=_COLOURS[bar.kind]
    )
    if high - low > _LEAST_WHISKER:
        ends = "".join(f"M{at:.1f} {middle - 4:.1f}v8" for at in (low, high))
        yield _tag("path", d=f"M{low:.1f} {middle:.1f}H{high:.1f}{ends}", stroke=_INK, stroke_opacity=0.5)
    yield _tag("text", f"{bar.value:,.{digits}f}", x=max(end, high) + 8, **text)


def _open(title: str, height: float) -> str:
    tag = _tag("svg", xmlns="http://www.w3.org/2000/svg", width=WIDTH, height=height, font_family=_FONT)
    picture = f" viewBox={quoteattr(f'0 0 {WIDTH} {height}')} role={quoteattr('img')} aria-label={quoteattr(title)}>\n"
    return tag.removesuffix("/>") + picture


def _tag(name: str, content: str | None = None, **attributes: str | float) -> str:
    written = "".join(f" {key.replace('_', '-')}={quoteattr(_plain(value))}" for key, value in attributes.items())
    return f"<{name}{written}/>" if content is None else f"<{name}{written}>{escape(content)}</{name}>"


def _plain(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"
