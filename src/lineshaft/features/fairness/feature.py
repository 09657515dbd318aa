"""What is left to do once turns are drawn: tell who comes before a job, and forget who waits no more."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from lineshaft.explaining import Hold
from lineshaft.feature import Feature, Write
from lineshaft.features.fairness.explain import explain
from lineshaft.store.fairness import START, prune_turns
from lineshaft.transitions import Stage

if TYPE_CHECKING:
    from lineshaft.engines.base import Tx
    from lineshaft.job import JobRow
    from lineshaft.store.turns import Whose


class FairnessFeature(Feature):
    """Explains turns, and deletes what is known of those that have drawn none for an hour."""

    def explain(self, tx: Tx, job: JobRow, now: int) -> Sequence[Hold]:  # noqa: ARG002 - turns are places, not times
        """Say how many jobs of how many others have earlier turns."""
        return list(explain(tx, job)) if job.stage == Stage.READY and job.worker is None else ()

    def periodic(self, write: Write, now: int) -> None:
        """Delete a part of them in each transaction."""
        after: Whose | None = START
        while after is not None:
            after = write(partial(prune_turns, now=now, after=after)).after
