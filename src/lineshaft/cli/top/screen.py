"""Draws a snapshot as lines that fit a terminal: what does not fit is left out and counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from lineshaft.cli.output import one_line
from lineshaft.cli.table import Column, fit
from lineshaft.cli.top.snapshot import QueueView, Rates, Snapshot, WorkerView
from lineshaft.clock import SECOND, to_text

Order = Literal["name", "waiting", "out/s"]
ORDERS: Final[tuple[Order, ...]] = ("name", "waiting", "out/s")

_BARS: Final = "▁▂▃▄▅▆▇█"
_AROUND: Final = 9
"""Lines that are neither a queue's nor a worker's: title, three rates, two heads, two gaps, keys."""
_LOW: Final = 14
"""In fewer lines there is no room for bars and gaps."""
_AROUND_LOW: Final = 5
_KEYS: Final = "q quit  space freeze  s sort"
_QUEUES: Final = (
    Column("queue", may_be_cut=True),
    Column("state"),
    Column("waiting", is_number=True),
    Column("sched", is_number=True),
    Column("retry", is_number=True),
    Column("run", is_number=True),
    Column("in/s", is_number=True),
    Column("out/s", is_number=True),
    Column("oldest", is_number=True),
    Column("failed/s", is_number=True, is_extra=True),
)
_WORKERS: Final = (
    Column("worker"),
    Column("host", may_be_cut=True),
    Column("pid", is_number=True),
    Column("state"),
    Column("busy", is_number=True),
    Column("out/s", is_number=True),
    Column("heard", is_number=True),
    Column("version", is_extra=True),
    Column("queues", may_be_cut=True),
    Column("leader", may_be_cut=True, is_extra=True),
)


@dataclass(frozen=True, slots=True)
class View:
    """How a person wants to see it."""

    order: Order = "name"
    is_frozen: bool = False
    away: str | None = None
    """What to say when the store does not answer."""


def draw(snapshot: Snapshot, history: Sequence[Rates], view: View, width: int, height: int) -> list[Text]:
    """Return the lines of a screen, at most `height` of them and none longer than `width`."""
    is_low = height < _LOW
    room = max(2, height - (_AROUND_LOW if is_low else _AROUND))
    gap = [] if is_low else [Text()]
    queues = sorted(snapshot.queues, key=partial(_sorting, view.order))
    for_workers = min(len(snapshot.workers), max(room // 2, room - len(queues)))
    for_queues = max(1, room - max(1, for_workers))
    lines = [
        _title(snapshot, view, width),
        *([Text(_said(snapshot.rates))] if is_low else _rates(snapshot.rates, history, width)),
        *gap,
        *_section(_QUEUES, [(_queue(one), _queue_style(one)) for one in queues], "queue", for_queues, width),
        *gap,
        *_section(
            _WORKERS, [(_worker(one), _worker_style(one)) for one in snapshot.workers], "worker", for_workers, width
        ),
    ]
    foot = Text(f"{_KEYS}: {view.order}", "dim")
    shown = [*lines[: height - 1], *[Text()] * (height - 1 - len(lines)), foot]
    for line in shown:
        line.truncate(width, overflow="ellipsis")
    return shown


def plain(snapshot: Snapshot, width: int) -> list[str]:
    """Return a snapshot as lines to be printed once: every queue and worker, in tables fitted to a width."""
    queues = [(_queue(one), "") for one in snapshot.queues]
    workers = [(_worker(one), "") for one in snapshot.workers]
    lines = [
        Text(f"{snapshot.store}  {snapshot.at:%Y-%m-%dT%H:%M:%SZ}"),
        Text(_said(snapshot.rates)),
        *_section(_QUEUES, queues, "queue", len(queues) + 1, width),
        *_section(_WORKERS, workers, "worker", len(workers) + 1, width),
    ]
    return [line.plain.rstrip() for line in lines]


def spark(values: Sequence[float | None], width: int) -> str:
    """Return the last values as bars, the highest of them the full height."""
    shown = [value or 0.0 for value in values[-width:]] if width > 0 else []
    most = max(shown, default=0.0)
    if most <= 0:
        return _BARS[0] * len(shown)
    return "".join(_BARS[min(len(_BARS) - 1, int(value / most * len(_BARS)))] for value in shown)


def _title(snapshot: Snapshot, view: View, width: int) -> Text:
    when = f"{snapshot.at:%H:%M:%S} UTC"
    if view.away is not None:
        right, style = view.away, "bold red"
    elif view.is_frozen:
        right, style = f"frozen at {when}", "bold yellow"
    else:
        right, style = when, ""
    left = f"lineshaft top  {one_line(snapshot.store)}"
    room = max(0, width - cell_len(right) - 2)
    return Text.assemble((_cut(left, room).ljust(room), "bold"), "  ", (right, style))


def _rates(now: Rates, history: Sequence[Rates], width: int) -> Iterable[Text]:
    for name, value in _named(now):
        head = f"{name:<8} {_number(value):>8}/s  "
        style = "red" if name == "failed" and value else "green"
        yield Text.assemble(head, (spark([getattr(one, name) for one in history], width - len(head)), style))


def _said(found: Rates) -> str:
    return "  ".join(f"{name} {_number(value)}/s" for name, value in _named(found))


def _named(found: Rates) -> list[tuple[str, float | None]]:
    return [("enqueued", found.enqueued), ("finished", found.finished), ("failed", found.failed)]


def _section(
    columns: Sequence[Column], rows: Sequence[tuple[Sequence[str], str]], what: str, room: int, width: int
) -> list[Text]:
    """Return a table of at most `room` lines under its head; the last says how many rows are not shown."""
    if not rows:
        return [Text(f"no {what}s", "dim")]
    shown = rows if len(rows) <= room else rows[: room - 1]
    texts = [[column.name for column in columns], *(cells for cells, _ in shown)]
    widths = fit(columns, [max(map(cell_len, cells)) for cells in zip(*texts, strict=True)], width)
    lines = [
        Text(_line(columns, widths, cells), style)
        for cells, style in zip(texts, ["bold", *(style for _, style in shown)], strict=True)
    ]
    hidden = len(rows) - len(shown)
    more = [Text(f"+{hidden} more {what}{'s' if hidden > 1 else ''}", "dim")] if hidden else []
    return [*lines, *more]


def _line(columns: Sequence[Column], widths: Sequence[int], cells: Sequence[str]) -> str:
    parts: list[str] = []
    for column, width, cell in zip(columns, widths, cells, strict=True):
        if width:
            text = _cut(cell, width)
            spaces = " " * (width - cell_len(text))
            parts.append(spaces + text if column.is_number else text + spaces)
    return "  ".join(parts)


def _queue(one: QueueView) -> list[str]:
    more = ">" if one.is_partial else ""
    return [
        one_line(one.name),
        "paused" if one.paused else "open",
        more + _number(one.waiting),
        _number(one.scheduled),
        _number(one.retrying),
        _number(one.running),
        _number(one.rate_in),
        _number(one.rate_out),
        _age(one.oldest_seconds),
        _number(one.rate_failed),
    ]


def _queue_style(one: QueueView) -> str:
    return "yellow" if one.paused else "red" if one.rate_failed else ""


def _worker(one: WorkerView) -> list[str]:
    return [
        str(one.id),
        one_line(one.host),
        str(one.pid),
        one.state,
        f"{one.busy}/{one.slots}",
        _number(one.rate),
        _age(one.heartbeat_seconds),
        one_line(one.version),
        one_line(",".join(one.queues)),
        one_line(one.duty or ""),
    ]


def _worker_style(one: WorkerView) -> str:
    return {"silent": "red", "draining": "yellow"}.get(one.state, "")


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1f}" if 0 < value < 10 and not float(value).is_integer() else f"{value:,.0f}"  # noqa: PLR2004


def _age(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 10:  # noqa: PLR2004 - from here on tenths say nothing
        return f"{seconds:.1f}s"
    for unit in (86_400, 3_600, 60):
        if seconds >= 2 * unit:
            return to_text(int(seconds // unit) * unit * SECOND)
    return f"{seconds:.0f}s"


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - 1)) + "…"


def _sorting(order: Order, one: QueueView) -> tuple[float, str]:
    """Return by what a queue is put in order: the greatest first, those that are equal by name."""
    figure = {"name": 0.0, "waiting": float(one.waiting), "out/s": one.rate_out or 0.0}
    return -figure[order], one.name
