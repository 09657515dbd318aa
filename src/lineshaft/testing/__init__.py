"""For your own tests: faults in a running app, and jobs that are killed wherever it may hurt."""

from lineshaft.testing.chaos import Chaos, chaos
from lineshaft.testing.idempotency import IdempotencyReport, assert_idempotent
from lineshaft.testing.points import chaos_point, effect

__all__ = ["Chaos", "IdempotencyReport", "assert_idempotent", "chaos", "chaos_point", "effect"]
