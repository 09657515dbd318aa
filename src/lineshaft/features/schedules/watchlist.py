"""Which tasks a dead man's switch watches, and the note that jobs of theirs have completed.

Every worker knows the names and asks for them again every few seconds, so that a job of a task that nobody watches
costs nothing. The note is part of the transaction that completes the job, and is written once a second at most, by the
first completion of that second: ticks lie on whole seconds, so it says as much as all the others would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from lineshaft.clock import MINUTE, SECOND
from lineshaft.store.queries import Statements

if TYPE_CHECKING:
    from lineshaft.engines.base import Tx

SQL: Final = Statements("overdue", "lineshaft.features.schedules")  # not by way of `overdue`, which needs all rules

_PERIOD: Final = 5 * SECOND
_WRONG_CLOCK: Final = MINUTE


class Watchlist:
    """The tasks that are watched, as of the last look; one a process."""

    def __init__(self) -> None:
        self.tasks: frozenset[str] = frozenset()
        self._schedules: dict[str, list[str]] = {}
        self._looked_at: int | None = None

    def refresh(self, read: Callable[[Callable[[Tx], Any]], Any], now: int) -> None:
        """Ask the store again, if the last answer is older than a few seconds."""
        if self._looked_at is not None and 0 <= now - self._looked_at < _PERIOD:
            return
        schedules: dict[str, list[str]] = {}
        for task, name in read(lambda tx: tx.run(SQL.watched_tasks, {})):
            schedules.setdefault(task, []).append(name)
        self._schedules, self.tasks = schedules, frozenset(schedules)
        self._looked_at = now

    def note_completed(self, tx: Tx, tasks: Iterable[str], now: int) -> None:
        """Note that jobs of these tasks, which are watched, have completed; the leader hears of it where it waits."""
        names = sorted(name for task in tasks for name in self._schedules.get(task, ()))
        if not names:
            return
        second = now - now % SECOND
        params = {"names": names, "now": now, "second": second, "too_late": now + _WRONG_CLOCK}
        overdue = [row[0] for row in tx.run(SQL.note_completed, params)]
        if overdue:
            tx.run(SQL.call_leader, {"names": overdue, "now": now})
