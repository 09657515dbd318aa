"""Which limit that learns holds a job, and who holds its places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from lineshaft.features.adaptive.kind import AdaptiveKind, load_learnt, terms_of
from lineshaft.features.limits.explain import PassesOf, find_held, taken

if TYPE_CHECKING:
    from lineshaft.engines.base import Tx
    from lineshaft.explaining import Hold
    from lineshaft.job import JobRow


def explain(tx: Tx, job: JobRow, now: int, kind: AdaptiveKind, passes_of: PassesOf) -> Iterator[Hold]:
    """Yield the limit in whose line a job stands, or one that would refuse it."""
    held = find_held(tx, job, now, [kind], passes_of)
    if held is None or held.one.kind != "adaptive":
        return
    terms = terms_of(held.gate.declared, held.gate.overrides, held.one.terms)
    hold = taken(tx, held, terms, load_learnt(held.gate.state, terms).limit, now)
    learning = f"; it learns between {terms.low:,} and {terms.high:,}"
    yield replace(hold, text=hold.text + learning, facts={**hold.facts, "low": terms.low, "high": terms.high})
