"""Times, spans and names as an explanation says them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from lineshaft.clock import SECOND, to_datetime, to_text
from lineshaft.outcomes import JobError

LONGEST_MESSAGE: Final = 200
"""Characters of an error's message in a sentence."""

DEPLOY: Final = (
    "Deploy the code that has the task, or list its module in imports=; 'lineshaft tasks list' shows what is known"
)
"""What helps when no worker knows a task."""

_ROUNDED: Final = ((48 * 3_600, 3_600), (3_600, 60), (0, 1))
"""From how many seconds on a span is told in which unit."""
_decode_error: Final = msgspec.json.Decoder(JobError).decode


def instant(micros: int) -> str:
    """Return a time as ISO 8601 in UTC, in whole seconds."""
    return f"{to_datetime(micros):%Y-%m-%dT%H:%M:%SZ}"


def span(micros: int) -> str:
    """Return a duration in whole seconds; from an hour on in minutes, from two days on in hours."""
    seconds = max(0, micros) // SECOND
    unit = next(unit for bound, unit in _ROUNDED if seconds >= bound)
    return to_text(seconds // unit * unit * SECOND) if seconds else "0s"


def moment(micros: int | None) -> datetime | None:
    """Return a time for programs."""
    return None if micros is None else to_datetime(micros)


def ahead(when: int, now: int) -> str:
    """Return a time that lies ahead with the span until then."""
    return f"{instant(when)} (in {span(when - now)})"


def behind(when: int, now: int) -> str:
    """Return a time that has passed with the span since then."""
    return f"{instant(when)} ({span(now - when)} ago)"


def counted(number: int, what: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def last_error(lines: str | None) -> JobError | None:
    """Return the error of the last attempt that failed."""
    return _decode_error(lines.splitlines()[-1]) if lines else None


def failure(error: JobError) -> str:
    """Return what went wrong in one line: the type and the first line of the message."""
    message = next(iter(error.message.splitlines()), "")
    cut = message if len(message) <= LONGEST_MESSAGE else message[: LONGEST_MESSAGE - 1] + "…"
    return f"{error.type}: {cut}" if cut else error.type


def error_facts(error: JobError | None) -> dict[str, Any]:
    """Return an error for programs, without its traceback; nothing where there was none."""
    return {"error": {"attempt": error.attempt, "type": error.type, "message": error.message}} if error else {}
