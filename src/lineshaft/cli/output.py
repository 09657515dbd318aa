"""Printing: tables in colour on a terminal, aligned text in a pipe, JSON where it was asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from lineshaft.clock import SECOND, to_instant, to_text, wall_clock

_GAP: Final = "  "
_STYLES: Final = {
    "completed": "green",
    "running": "cyan",
    "cancelling": "yellow",
    "retrying": "yellow",
    "dead": "red",
    "cancelled": "dim",
    "skipped": "dim",
    "expired": "dim",
    "paused": "yellow",
    "draining": "yellow",
    "silent": "red",
}
_CUT_AT: Final = 16
"""The fewest characters that a column which may be cut on a narrow terminal keeps."""


class Column(NamedTuple):
    """A column of a table: numbers stand to the right, and only text that may be cut gives way on a narrow terminal."""

    name: str
    is_number: bool = False
    may_be_cut: bool = False


def print_json(value: Any) -> None:
    """Print a value as indented JSON; times become ISO 8601."""
    encoded = msgspec.json.encode(value, enc_hook=str)
    print_text(msgspec.json.format(encoded, indent=2).decode())


def print_json_lines(items: Iterable[Any]) -> None:
    """Print an array as it comes, an item a line: it may be longer than memory is large."""
    opening = "["
    for item in items:
        print_text(opening + msgspec.json.encode(item, enc_hook=str).decode(), end="")
        opening = ",\n"
    print_text("]" if opening != "[" else "[]")


def print_text(text: str, *, end: str = "\n") -> None:
    """Print to standard output."""
    sys.stdout.write(text + end)


def print_hint(text: str) -> None:
    """Print what is no result to standard error."""
    sys.stderr.write(f"{text}\n")


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
    """Print rows; where there are none, say so on standard error."""
    cells = [[_cell(value) for value in row] for row in rows]
    if not cells:
        print_hint(empty)
    elif is_terminal():
        _print_rich(columns, cells)
    else:
        _print_plain(columns, cells)


def is_terminal() -> bool:
    """Tell whether a person reads standard output."""
    return sys.stdout.isatty()


def one_line(text: str) -> str:
    """Return text with everything that could break a line or steer a terminal made visible."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def many_lines(text: str) -> str:
    """Return text with everything but line breaks made harmless to a terminal."""
    return "\n".join(one_line(line.expandtabs(4)) for line in text.split("\n"))


def styled(text: str, style: str | None = None) -> str:
    """Return a text in the colour of its meaning on a terminal, as it is elsewhere."""
    import click

    chosen = style or _STYLES.get(text)
    if not chosen or not is_terminal():
        return text
    return click.style(text, dim=True) if chosen == "dim" else click.style(text, fg=chosen)


def ago(when: datetime | None) -> str:
    """Return a time as a person reads it: how long ago on a terminal, ISO 8601 elsewhere."""
    if when is None:
        return ""
    if not is_terminal():
        return iso(when)
    seconds = (wall_clock() - to_instant(when)) // SECOND
    return f"in {_rough(-seconds)}" if seconds < 0 else f"{_rough(seconds)} ago"


def iso(when: datetime) -> str:
    """Return an aware UTC time as ISO 8601 in whole seconds."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def count_of(number: int, what: str) -> str:
    """Return a number with its noun: `1 job`, `1,234 jobs`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _rough(seconds: int) -> str:
    for unit in (86_400, 3_600, 60):
        if seconds >= unit:
            return to_text(seconds // unit * unit * SECOND)
    return to_text(seconds * SECOND)


def _cell(value: Any) -> str:
    return "" if value is None else one_line(str(value))


def _print_plain(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> None:
    lines = [[column.name for column in columns], *cells]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        shown = (
            text.rjust(width) if column.is_number else text.ljust(width)
            for text, width, column in zip(line, widths, columns, strict=True)
        )
        print_text(_GAP.join(shown).rstrip())


def _print_rich(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, len(_GAP), 0, 0), header_style="bold")
    for column in columns:
        table.add_column(
            column.name,
            justify="right" if column.is_number else "left",
            no_wrap=True,
            overflow="ellipsis",
            min_width=min(_CUT_AT, _widest(columns, cells, column))
            if column.may_be_cut
            else _widest(columns, cells, column),
        )
    for row in cells:
        table.add_row(*(Text(text, style=_STYLES.get(text, "")) for text in row))
    console = Console(highlight=False)
    console.print(table, soft_wrap=False, crop=False)


def _widest(columns: Sequence[Column], cells: Sequence[Sequence[str]], column: Column) -> int:
    from rich.cells import cell_len

    index = columns.index(column)
    return max(map(cell_len, [column.name, *(row[index] for row in cells)]))
