"""All that a leader has to do: the pruner, and the duties of features."""

from __future__ import annotations

from collections.abc import Sequence

from lineshaft.blobs import Depot
from lineshaft.config import Retention
from lineshaft.engines.base import Engine
from lineshaft.events import Subscribers
from lineshaft.feature import Duty, Feature, Office
from lineshaft.leader.pruner import Pruner


def duties_of(
    engine: Engine, retention: Retention, features: Sequence[Feature], depot: Depot, subscribers: Subscribers
) -> list[Duty]:
    """Return the duties of one worker, made for it."""
    pruner = Pruner(engine, retention, features, depot)
    office = Office(engine, engine.clock, subscribers, pruner.begin_chore)
    return [pruner, *(duty for feature in features for duty in feature.duties(office))]
