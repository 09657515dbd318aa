"""Marks in a job's code that `assert_idempotent` hears. Outside of it each costs one look at a variable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Listener = Callable[[str, str, str | None], None]
_listeners: list[Listener] = []


def chaos_point(name: str) -> None:
    """Mark a place where the process may die: `assert_idempotent` kills the job there. Does nothing elsewhere."""
    for listener in _listeners:
        listener("point", name, None)


def effect(name: str, key: Any = None) -> None:
    """Mark that something was just done to the world outside the store, such as a mail that was sent.

    `name` says what kind of effect it was and `key` which one; `repr(key)` tells two of them apart. Call it right after
    the effect: `assert_idempotent` kills the job there and counts what happened twice. Does nothing elsewhere.
    """
    for listener in _listeners:
        listener("effect", name, None if key is None else repr(key))


def listen(listener: Listener) -> None:
    """Have the listener called at every mark from now on; for a process that will be killed."""
    _listeners.append(listener)
