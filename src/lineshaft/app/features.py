"""The features of an app, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lineshaft.config import Retention
from lineshaft.feature import Feature
from lineshaft.features.adaptive.feature import AdaptiveFeature
from lineshaft.features.breaker.feature import BreakerFeature
from lineshaft.features.fairness import FairnessFeature
from lineshaft.features.followup import FollowUpFeature
from lineshaft.features.limits import LimitsFeature
from lineshaft.features.schedules.feature import SchedulesFeature
from lineshaft.features.unique import UniqueFeature
from lineshaft.task import Task


def features_of(retention: Retention, tasks: Mapping[str, Task[Any, Any, Any]]) -> list[Feature]:
    """Return all features; `tasks` are the app's, those too that come later."""
    # Limits come before keys: a job that replaces another one gives it the place that it has in an order.
    limits, unique = LimitsFeature(tasks), UniqueFeature()
    features: list[Feature] = [limits, unique, BreakerFeature(tasks), AdaptiveFeature(tasks), FairnessFeature()]
    features.append(FollowUpFeature([limits, unique]))
    features.append(SchedulesFeature(features, retention))
    return features
