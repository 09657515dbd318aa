"""Fair queues: whose jobs wait takes turns with others. Drawing and placing are the store's (`store/turns.py`)."""

from lineshaft.features.fairness.feature import FairnessFeature

__all__ = ["FairnessFeature"]
