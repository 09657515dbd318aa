"""What is asked of a gate for people: who is inside, and who waits. Each answer costs no more than a bounded look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from lineshaft.store.queries import Statements

if TYPE_CHECKING:
    from lineshaft.engines.base import Tx

SQL: Final = Statements("limits", "lineshaft.features.limits")

_MOST_HOLDERS: Final = 1_000
FARTHEST: Final = 10_000
"""How many jobs of a line are looked at."""


class Stand(NamedTuple):
    """Where a job stands."""

    gate: str | None
    """The gate that it is in, or in whose line it stands."""
    options: str | None
    """What was stored with it, as JSON text."""
    ahead: int
    """How many stand before it in the line, counted to `FARTHEST`."""


class Holder(NamedTuple):
    """A job inside a gate that a worker holds."""

    id: str
    name: str
    worker: int
    started_at: int


def stand_of(tx: Tx, job_id: str) -> Stand:
    """Return where an unfinished job stands."""
    rows = tx.run(SQL.stand, {"id": job_id, "limit": FARTHEST})
    return Stand._make(rows[0]) if rows else Stand(None, None, 0)


def holders(tx: Tx, gate: str, limit: int) -> list[Holder]:
    """Return up to `limit` jobs that hold a gate, those that run longest first; 1,000 are looked at."""
    found = [Holder._make(row) for row in tx.run(SQL.holders, {"gate": gate, "limit": _MOST_HOLDERS})]
    return sorted(found, key=lambda one: (one.started_at, one.id))[:limit]


def line_length(tx: Tx, gate: str) -> int:
    """Count the jobs in a gate's line, up to `FARTHEST`."""
    return int(tx.run(SQL.line_length, {"gate": gate, "limit": FARTHEST})[0][0])
