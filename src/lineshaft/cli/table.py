"""Tables: fitted to a terminal, whole in a pipe."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from rich.cells import cell_len, set_cell_size

from lineshaft.cli.output import is_terminal, one_line, print_hint, print_text, styled

_GAP: Final = 2


class Column(NamedTuple):
    """A column: numbers stand to the right; on a narrow terminal extra ones are left out, then long texts are cut.

    Those in which no row has anything are the first to go.
    """

    name: str
    is_number: bool = False
    may_be_cut: bool = False
    is_extra: bool = False
    keeps: int = 16
    """The characters that a column which may be cut keeps on a narrow terminal."""


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
    """Print rows; where there are none, say so on standard error."""
    cells = [[_cell(value) for value in row] for row in rows]
    if not cells:
        print_hint(empty)
        return
    lines = [[column.name for column in columns], *cells]
    widths = [max(map(cell_len, texts)) for texts in zip(*lines, strict=True)]
    if is_terminal():
        room = shutil.get_terminal_size().columns
        widths = fit(columns, widths if _total(widths) <= room else _used(widths, cells), room)
    for index, line in enumerate(lines):
        print_text(_line(columns, widths, line, is_head=index == 0))


def fit(columns: Sequence[Column], widths: Sequence[int], room: int) -> list[int]:
    """Return the widths with which a table fits into `room` characters, as far as it can; 0 leaves a column out."""
    fitted = list(widths)
    least = [
        min(width, column.keeps) if column.may_be_cut else width for column, width in zip(columns, widths, strict=True)
    ]
    for index in reversed(range(len(columns))):
        if columns[index].is_extra and _total(least) > room:
            fitted[index] = least[index] = 0
    while _total(fitted) > room and (longer := [index for index, width in enumerate(least) if fitted[index] > width]):
        fitted[max(longer, key=fitted.__getitem__)] -= 1
    return fitted


def _used(widths: Sequence[int], cells: Sequence[Sequence[str]]) -> list[int]:
    return [width if any(texts) else 0 for width, texts in zip(widths, zip(*cells, strict=True), strict=True)]


def _total(widths: Sequence[int]) -> int:
    shown = [width for width in widths if width]
    return sum(shown) + _GAP * (len(shown) - 1)


def _line(columns: Sequence[Column], widths: Sequence[int], texts: Sequence[str], *, is_head: bool) -> str:
    parts = [
        _padded(text, width, column, style="bold" if is_head else None)
        for column, width, text in zip(columns, widths, texts, strict=True)
        if width
    ]
    return (" " * _GAP).join(parts).rstrip()


def _padded(text: str, width: int, column: Column, style: str | None) -> str:
    if cell_len(text) > width:
        text = set_cell_size(text, width - 1) + "…"
    spaces = " " * (width - cell_len(text))
    shown = styled(text, style)
    return spaces + shown if column.is_number else shown + spaces


def _cell(value: Any) -> str:
    return "" if value is None else one_line(str(value))
