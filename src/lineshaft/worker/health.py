"""How a worker process is, as probes, a supervisor and systemd want to know it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

State = Literal["starting", "ready", "away", "draining"]
"""What a worker does: it starts, takes jobs, cannot reach its store, or finishes what it holds before it ends."""


class Health(msgspec.Struct, frozen=True):
    """How a process is: `live` as long as it should not be killed for hanging, ready in the state `ready`."""

    live: bool
    state: State
    processes: Mapping[str, State] | None = None
    """The states of a supervisor's workers, by number."""

    @property
    def is_ready(self) -> bool:
        """Whether it takes jobs."""
        return self.live and self.state == "ready"
