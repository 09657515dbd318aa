"""The names under which blobs lie: `STORE/DAY/JOB/NAME`.

The first part tells stores that share a place apart, so that none sweeps what another owns. The day on which a blob was
written tells what may be swept without asking the place; the job says who owns it.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from secrets import token_hex
from typing import Final

from lineshaft.clock import to_datetime

GRACE_DAYS: Final = 1
"""Days that must have passed since the end of the day on which a blob without a job was written."""

_JOB: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KEY: Final = re.compile(r"\w{1,40}/\d{4}-\d\d-\d\d/[0-9a-f-]{36}/[0-9a-f]{16}", re.ASCII)


def new_key(root: str, now: int, job_id: str) -> str:
    """Return a key that no other blob has; `now` is in microseconds since the epoch."""
    return f"{root}/{to_datetime(now).date().isoformat()}/{job_id}/{token_hex(8)}"


def is_key(text: object) -> bool:
    """Tell whether a text is a key, and nothing that could lead out of the place."""
    return isinstance(text, str) and _KEY.fullmatch(text) is not None


def is_job(name: str) -> bool:
    """Tell whether a name is a job's id, and not what somebody else has put there."""
    return _JOB.fullmatch(name) is not None


def owner_of(key: str) -> str:
    """Return the id of the job that owns a blob."""
    return key.split("/")[2]


def is_over(day: str, now: int) -> bool:
    """Tell whether blobs written on a day, `2026-11-23`, must belong to a job by now if they ever will."""
    try:
        written = date.fromisoformat(day)
    except ValueError:  # not ours
        return False
    return written + timedelta(days=GRACE_DAYS) < to_datetime(now).date()
