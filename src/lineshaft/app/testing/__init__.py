"""Running an app's jobs by hand, in tests: the engine, the transitions and the execution are the real ones."""

from lineshaft.app.testing.drained import Drained
from lineshaft.app.testing.testing import Mode, Testing, active

__all__ = ["Drained", "Mode", "Testing", "active"]
