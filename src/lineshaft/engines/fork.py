"""What happens to connections when a process forks, as web servers do after they have imported an application."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Protocol, TypeVar


class Forkable(Protocol):
    """Something that holds connections."""

    def forget_connections(self) -> None:
        """Start afresh in a forked child, leaving the parent's connections alone."""


class ForkClosable(Forkable, Protocol):
    """Something whose connections must not be open while the process forks."""

    def close_before_fork(self) -> None:
        """Close the connections and let nobody open one."""

    def go_on_after_fork(self) -> None:
        """Let connections be opened again, in the process that forked."""


F = TypeVar("F", bound=Forkable)


def forget_after_fork(owner: Forkable) -> None:
    """Have the owner, for as long as it lives, start afresh in each forked child."""
    os.register_at_fork(after_in_child=_if_alive(owner, lambda alive: alive.forget_connections()))


def close_around_fork(owner: ForkClosable) -> None:
    """Have the owner, for as long as it lives, close before each fork and start afresh in the child."""
    os.register_at_fork(
        before=_if_alive(owner, lambda alive: alive.close_before_fork()),
        after_in_parent=_if_alive(owner, lambda alive: alive.go_on_after_fork()),
        after_in_child=_if_alive(owner, lambda alive: alive.forget_connections()),
    )


def _if_alive(owner: F, act: Callable[[F], None]) -> Callable[[], None]:
    reference = weakref.ref(owner)

    def handler() -> None:
        alive = reference()
        if alive is not None:
            act(alive)

    return handler
