"""Words that the reasons of gates share."""

from __future__ import annotations

from lineshaft.clock import SECOND, to_text
from lineshaft.features.limits.lines import FARTHEST


def before(ahead: int | None) -> str:
    """Return how many stand before a job in its line, to be put behind a sentence; None: it stands in none."""
    if not ahead:
        return "" if ahead is None else "; it is the next"
    return f"; {'more than ' if ahead >= FARTHEST else ''}{ahead:,} before it"


def span(micros: int) -> str:
    """Return a time in whole seconds."""
    return to_text(micros // SECOND * SECOND) if micros >= SECOND else "0s"
