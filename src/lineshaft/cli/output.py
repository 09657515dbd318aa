"""Printing: text, JSON, times, colours; in colour on a terminal, plain in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import click
import msgspec

from lineshaft.clock import SECOND, to_instant, to_text, wall_clock

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
    "overdue": "red",
    "missed": "yellow",
    "ended": "dim",
    "removed": "dim",
}


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
    """Return a text on a terminal in a style, or in the colour of the state that it names; elsewhere as it is."""
    chosen = style or _STYLES.get(text.removesuffix("*"))  # a state with a mark is still that state
    if not chosen or not is_terminal():
        return text
    return click.style(text, **{chosen: True} if chosen in ("bold", "dim") else {"fg": chosen})


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
    return f"{seconds}s"
