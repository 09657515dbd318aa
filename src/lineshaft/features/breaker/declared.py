"""What the tasks of an app say of each breaker: one may say it all, and the others only name it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lineshaft.options import Breaker
    from lineshaft.task import Task


class DeclaredBreakers:
    """The breakers of an app's tasks by their rules; tasks may come and go."""

    def __init__(self, tasks: Mapping[str, Task[Any, Any, Any]]) -> None:
        self._tasks = tasks
        self._known: dict[str, Breaker] = {}
        self._count = 0

    def __bool__(self) -> bool:
        """Tell whether any task names a breaker."""
        return bool(self._by_rule())

    def find(self, named: Breaker, rule: str) -> Breaker:
        """Return the breaker of this rule where a task says more of it than its name; else the one that was given."""
        return named if named.says_more else self._by_rule().get(rule, named)

    def names(self) -> list[str]:
        """Return the names of all breakers, in order."""
        return sorted(rule.partition(":")[2] for rule in self._by_rule())

    def _by_rule(self) -> Mapping[str, Breaker]:
        if self._count != len(self._tasks):
            said = [(one.rule(name), one) for name, task in self._tasks.items() for one in task.defaults.breaker]
            said.sort(key=lambda pair: pair[1].says_more)
            self._known, self._count = dict(said), len(self._tasks)
        return self._known
