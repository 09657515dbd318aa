"""Numbers as a diagnosis says them."""

from __future__ import annotations

import re
from typing import Final

from lineshaft.clock import SECOND, to_text

MOST: Final = 1_000
"""How many rows of a queue, a worker or a table are looked at: a store is looked over in the same time at any size."""

_MEGA: Final = 1_000_000
_GIGA: Final = 1_000 * _MEGA


def span(micros: float) -> str:
    """Return a duration in whole seconds; from an hour on in whole minutes, from two days on in hours."""
    seconds = round(micros / SECOND)
    for bound, unit in ((172_800, 3_600), (3_600, 60)):
        if seconds >= bound:
            seconds -= seconds % unit
    return to_text(seconds * SECOND)


def counted(number: int, what: str = "job") -> str:
    """Return a number with its noun; where looking ended at `MOST`, as the least that it may be."""
    if number >= MOST:
        return f"{number:,} {what}s or more"
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def size(number: float) -> str:
    """Return a number of bytes."""
    return f"{number / _GIGA:,.1f} GB" if number >= _GIGA else f"{number / _MEGA:,.1f} MB"


def sql_text(text: str) -> str:
    """Return a text as SQL takes it."""
    return "'" + text.replace("'", "''") + "'"


def sql_name(name: str) -> str:
    """Return a role's or a table's name as SQL takes it."""
    return name if re.fullmatch("[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'
