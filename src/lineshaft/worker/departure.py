"""What the end of an attempt means for the gates that its job had passed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lineshaft.feature import Feature
from lineshaft.gates import Attempt, Pass, Sample
from lineshaft.outcomes import Outcome
from lineshaft.transitions import Held
from lineshaft.worker.run import Run
from lineshaft.worker.verdict import PLACES


class Departure(NamedTuple):
    """A job that leaves the gates it was inside, by whatever end of its attempt."""

    held: Held
    freed: tuple[Pass, ...]
    """The gates in which it had a place."""
    samples: Sequence[Sample] = ()
    has_slots: bool = False
    queue: str | None = None
    """The queue that its worker could take another job from in its place."""
    leaves: bool = True
    """Whether it has left its gates for good; else it is ready again, and they go on counting it."""
    is_now: bool = True
    """Whether it was inside until this very transaction; else somebody may have its place already."""


def left(
    held: Held, passes: tuple[Pass, ...], *, has_slots: bool = False, queue: str | None = None, leaves: bool = True
) -> Departure:
    """Return the departure of a job that never ran: its gates learn nothing from it."""
    for one in passes:
        if one.kind not in PLACES:
            passes = tuple(one for one in passes if one.kind in PLACES)
            break
    return Departure(held, passes, (), has_slots, queue, leaves)


class Departures:
    """Asks the features that learn from ends; for tasks whose limits learn nothing it looks at a dictionary."""

    def __init__(self, features: Iterable[Feature]) -> None:
        self._learning = [one for one in features if one.kinds and type(one).samples is not Feature.samples]
        self._of_tasks: dict[str, list[Feature]] = {}

    def departed(self, run: Run, outcome: Outcome, *, leaves: bool = True) -> Departure:
        """Return the departure of a run, with what its end tells the gates that learn."""
        passes, claimed = run.passes or (), run.claimed
        departure = left(claimed.held, passes, has_slots=run.has_slots, queue=claimed.queue, leaves=leaves)
        if not (run.has_slots or (passes and claimed.gate == passes[0].key)):
            departure = departure._replace(is_now=False)  # it was told to stop before it took its places
        asked = self._asked(run) if self._learning else None
        if not asked or not run.is_started:
            return departure
        attempt = Attempt(run.id, run.name, passes, outcome, run.seconds, run.signals)
        samples = [sample for one in asked for sample in one.samples(run.options, attempt)]
        return departure._replace(samples=samples) if samples else departure

    def _asked(self, run: Run) -> list[Feature]:
        if run.options is not run.task.defaults:
            return [one for one in self._learning if one.limits(run.options)]
        known = self._of_tasks.get(run.task.name)
        if known is None:
            known = self._of_tasks[run.task.name] = [one for one in self._learning if one.limits(run.options)]
        return known
