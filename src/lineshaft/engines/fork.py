"""What happens to connections when a process forks, as web servers do after they have imported an application."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """Something that holds connections."""

    def forget_connections(self) -> None:
        """Start afresh in a forked child, leaving the parent's connections alone."""


def forget_after_fork(owner: Forkable) -> None:
    """Have the owner, for as long as it lives, start afresh in each forked child."""
    reference = weakref.ref(owner)

    def in_child() -> None:
        alive = reference()
        if alive is not None:
            alive.forget_connections()

    os.register_at_fork(after_in_child=in_child)
