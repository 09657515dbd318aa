"""Taking one value out of a stored call by the name of its parameter, without rebuilding the rest."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from lineshaft.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VARIABLE: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
MISSING: Final[Any] = object()


class Picker:
    """Takes the value of one parameter, or something inside it, out of stored arguments as plain JSON values.

    Args:
        task: The task's name, for messages.
        signature: Its signature as callers see it.
        path: The parameter's name, then names inside it, each behind a dot.
        default: The parameter's default as plain JSON values; MISSING where it has none.
    """

    def __init__(self, task: str, signature: inspect.Signature, path: str, default: Any) -> None:
        self._task, self._path = task, path
        self._name, *self._inside = path.split(".")
        self._default = default
        positional = [name for name, one in signature.parameters.items() if one.kind in _POSITIONAL]
        self._index = positional.index(self._name) if self._name in positional else len(positional) + 2**62

    def pick(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Return the value.

        Args:
            args: The positional arguments, as JSON values.
            kwargs: The keyword arguments, as JSON values.

        Raises:
            ConfigError: There is none of this name.
        """
        value = args[self._index] if self._index < len(args) else kwargs.get(self._name, self._default)
        if value is MISSING:
            raise ConfigError(f"argument {self._path!r} of task {self._task!r} is not given, and an option asks for it")
        for part in self._inside:
            if not (isinstance(value, dict) and part in value):
                raise ConfigError(
                    f"argument {self._path!r} of task {self._task!r} is not there: no {part!r} in what was given, and "
                    "an option asks for it"
                )
            value = value[part]
        return value


def check_path(task: str, signature: inspect.Signature, path: str) -> None:
    """Refuse a path that leads to no single argument.

    Args:
        task: The task's name, for messages.
        signature: Its signature as callers see it.
        path: As for `Picker`.

    Raises:
        ConfigError: No parameter has that name, or it collects several.
    """
    name = path.partition(".")[0]
    parameter = signature.parameters.get(name)
    if parameter is not None and parameter.kind in _VARIABLE:
        raise ConfigError(f"{name!r} of task {task!r} collects arguments; name a single one")
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in signature.parameters.values())
    if parameter is None and not takes_any:
        known = ", ".join(signature.parameters) or "no parameters"
        raise ConfigError(f"{name!r} is no parameter of task {task!r}; it has {known}")
