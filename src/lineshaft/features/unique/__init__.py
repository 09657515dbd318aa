"""One job of its kind at a time."""

from lineshaft.features.unique.feature import UniqueFeature
from lineshaft.features.unique.keys import Pruned, prune_keys

__all__ = ["Pruned", "UniqueFeature", "prune_keys"]
