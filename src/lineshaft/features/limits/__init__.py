"""Concurrency limits, rates and strict orders, by keys taken from the arguments."""

from lineshaft.features.limits.feature import LimitsFeature

__all__ = ["LimitsFeature"]
