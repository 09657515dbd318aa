"""For your own tests: jobs that run when you say so, faults in a running app, and jobs killed wherever it may hurt."""

from lineshaft.app.testing import Drained, Testing
from lineshaft.testing.assertions import all_enqueued, assert_enqueued, refute_enqueued
from lineshaft.testing.chaos import Chaos, chaos
from lineshaft.testing.idempotency import IdempotencyReport, assert_idempotent
from lineshaft.testing.performing import aperform, perform
from lineshaft.testing.points import chaos_point, effect

__all__ = [
    "Chaos",
    "Drained",
    "IdempotencyReport",
    "Testing",
    "all_enqueued",
    "aperform",
    "assert_enqueued",
    "assert_idempotent",
    "chaos",
    "chaos_point",
    "effect",
    "perform",
    "refute_enqueued",
]
