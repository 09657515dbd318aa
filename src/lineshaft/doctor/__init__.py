"""What may be wrong with a store, and what cures it: `lineshaft doctor`.

An ailment is one small class in a module of its own; it stands in `ailments` and in docs/troubleshooting.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from lineshaft.doctor.ailment import Ailment, Finding, Report, Unseen
from lineshaft.doctor.held_open import LONGEST_SECONDS, HeldOpen
from lineshaft.engines.base import Engine

__all__ = ["Ailment", "Finding", "HeldOpen", "Report", "Unseen", "ailments", "examine"]


def ailments(*, held_seconds: float = LONGEST_SECONDS) -> list[Ailment]:
    """Return what a store is looked over for; `held_seconds` is how long a transaction may be open."""
    return [HeldOpen(held_seconds)]


def examine(engine: Engine, wanted: Sequence[Ailment]) -> Report:
    """Look for every ailment and return all that was found; raises `StoreError` when the store does not answer."""
    said = [one for ailment in wanted for one in ailment.look(engine)]
    return Report(
        store=engine.address,
        looked_for=[ailment.title for ailment in wanted],
        findings=[one for one in said if isinstance(one, Finding)],
        unseen=[one for one in said if isinstance(one, Unseen)],
    )
