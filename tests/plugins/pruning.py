"""Driving a pruner without the leader that it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lineshaft.feature import CHORES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lineshaft.leader.pruner import Pruner


def pruning(pruner: Pruner, now: int) -> Iterator[int]:
    """Begin all chores, as the ticks of their schedules do, and yield after each piece until they are done."""
    for chore in CHORES:
        assert pruner.begin_chore(chore.name)
    while pruner.is_busy:
        now = pruner.step(now)
        yield now
