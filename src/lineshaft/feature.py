"""The seams that a feature may fill. All of them do nothing, and with no feature in play they cost nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lineshaft.explaining import Hold
from lineshaft.job import JobRow
from lineshaft.options import Options
from lineshaft.transitions import Stage

Write = Callable[[Callable[[Any], Any]], Any]


@dataclass(slots=True)
class Incoming:
    """A job on its way into the store. A feature may answer it with a job that exists: nothing new is stored then."""

    row: dict[str, Any]
    """The row to be stored, `store.enqueue.NewRow`."""
    options: Options
    unique_text: str | None
    existing_id: str | None = None


class Ended(NamedTuple):
    """A job that has become final, in the transaction that made it so."""

    id: str
    claim: int
    stage: Stage
    tenant: str | None
    options: str
    """What was stored with it, as JSON text."""
    context: str | None
    """What it carries from the code that enqueued it."""
    started_at: int
    """When it was claimed for the attempt that ended, in microseconds; when it ended, if nobody had claimed it."""


class Feature:
    """One feature; `tx` is the open transaction (`engines.base.Tx`), `now` microseconds since the epoch."""

    def wants(self, options: Options) -> bool:  # noqa: ARG002 - a seam
        """Tell whether jobs with these options concern this feature at enqueue."""
        return False

    def before_enqueue(self, tx: Any, jobs: Sequence[Incoming], now: int) -> None:
        """Look at jobs about to be stored, in the transaction that stores them."""

    def after_finish(self, tx: Any, ended: Sequence[Ended], now: int, *, is_certain: bool) -> None:
        """Look at jobs that have become final, in the transaction that made them so; an error undoes it.

        Shown are those with something in their stored options: what a feature has to know at the end is put there.
        Unless `is_certain`, some of them may have been shown before, in a transaction that was committed.
        """

    def explain(self, tx: Any, job: JobRow, now: int) -> Sequence[Hold]:  # noqa: ARG002 - a seam
        """Say what of this feature holds an unfinished job, the most decisive first; a read of bounded cost."""
        return ()

    def periodic(self, write: Write, now: int) -> None:
        """Do what has to be done about once an hour; `write(operation)` runs `operation(tx)` in a transaction."""


def announce(features: Sequence[Feature], tx: Any, jobs: Sequence[Incoming], now: int) -> None:
    """Show jobs about to be stored to the features that want them."""
    for feature in features:
        chosen = [one for one in jobs if feature.wants(one.options)]
        if chosen:
            feature.before_enqueue(tx, chosen, now)
