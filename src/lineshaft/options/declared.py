"""The limits that the tasks of an app declare, by name: who says the same name shares the limit, and says it alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final

from lineshaft.errors import ConfigError
from lineshaft.options.breaker import Breaker
from lineshaft.options.flow import Limit, limits_of

if TYPE_CHECKING:
    from lineshaft.options.options import Options

_LONGEST_RULE: Final = 200
_RESERVED: Final = ("breaker:", "queue:")
_ELSEWHERE: Final = "{}"
"""The terms of a breaker of which only the name is said."""


@dataclass(frozen=True, slots=True)
class Said:
    """A limit as one task says it."""

    rule: str
    limit: Limit
    task: str
    place: str
    """Where the task is defined, `file:line`."""

    @property
    def terms(self) -> tuple[str, str, int]:
        """What all that share the limit have to say alike; only the names of their arguments may differ."""
        if isinstance(self.limit, Breaker):
            return "breaker", self.limit.terms(), 0
        return type(self.limit).__name__, replace(self.limit, key=None).terms(), len(self.limit.names)

    @property
    def is_reference(self) -> bool:
        """Whether it says no more than the name of a breaker."""
        return isinstance(self.limit, Breaker) and self.limit.terms() == _ELSEWHERE


class DeclaredLimits:
    """What the tasks of an app, or of a collection, say of their limits."""

    def __init__(self) -> None:
        self._rules: dict[str, dict[str, Said]] = {}

    def add(self, task: str, options: Options, place: Callable[[], str]) -> None:
        """Take in a task's limits, in place of those that it had.

        Raises `ConfigError`, naming both places, when one says of a shared limit what another one says otherwise.
        """
        for known in self._rules.values():
            known.pop(task, None)
        said = list(_said(task, options, place())) if limits_of(options) else []
        for one in said:
            self._check(one)
        for one in said:
            self._rules.setdefault(one.rule, {})[task] = one

    def check(self, task: str, options: Options, place: str) -> None:
        """Raise `ConfigError` when options of single jobs say of a declared limit what its task says otherwise."""
        for one in _said(task, options, place):
            self._check(one)

    def rules(self) -> Mapping[str, Said]:
        """Return one that says it of each limit, by name; of breakers one that says more than the name, if any does."""
        found = {rule: list(known.values()) for rule, known in self._rules.items() if known}
        return {rule: next((one for one in known if not one.is_reference), known[0]) for rule, known in found.items()}

    def _check(self, said: Said) -> None:
        for other in self._rules.get(said.rule, {}).values():
            if said.is_reference or other.is_reference or said.terms == other.terms:
                continue
            msg = (
                f"limit {said.rule!r} is said in two ways: {_shown(said.limit)} at {said.place}, "
                f"{_shown(other.limit)} at {other.place}; say it alike, or give one another name="
            )
            raise ConfigError(msg)


def _said(task: str, options: Options, place: str) -> Iterator[Said]:
    seen: dict[str, Any] = {}
    for limit in limits_of(options):
        rule = limit.rule(task)
        if rule in seen:
            msg = f"task {task!r} at {place} says limit {rule!r} twice; give one of them a name= of its own"
            raise ConfigError(msg)
        seen[rule] = limit
        if not isinstance(limit, Breaker):
            _check_rule(rule, task, place)
        yield Said(rule, limit, task, place)


def _shown(limit: Limit) -> str:
    """Return a limit as a person writes it: what is the default is left out."""
    said = ((one, getattr(limit, one.name)) for one in fields(limit))
    options = ", ".join(f"{one.name}={value!r}" for one, value in said if value != one.default)
    return f"{type(limit).__name__}({options})"


def _check_rule(rule: str, task: str, place: str) -> None:
    if "=" in rule or rule.startswith(_RESERVED) or len(rule) > _LONGEST_RULE:
        msg = (
            f"the limit of task {task!r} at {place} cannot be named {rule!r}, after its task: that is too long, or has "
            "'=' in it, or begins as names of breakers and queues do; give the limit a name="
        )
        raise ConfigError(msg)
