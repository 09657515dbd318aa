"""What is worked out once for a signature, so that a call costs little: whether it binds, and its values' shapes."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from lineshaft.payload.parameters import read_annotations
from lineshaft.payload.shape import Shape, is_exact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from lineshaft.payload.codecs import Codecs

_POSITIONAL = frozenset({inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD})
_NAMED = frozenset({inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY})
_VARIABLE = frozenset({inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD})


@dataclass(frozen=True, slots=True)
class Fit:
    """Decides in a few set comparisons whether a call binds; why it does not is for `inspect` to say.

    `missing[n]` and `allowed[n]` are the names that must and that may be given by name behind n positional values.
    """

    missing: tuple[frozenset[str], ...]
    allowed: tuple[frozenset[str], ...]
    takes_any_number: bool
    takes_any_name: bool

    @classmethod
    def of(cls, signature: inspect.Signature) -> Fit:
        """Work out the sets for a signature."""
        parameters = signature.parameters.values()
        kinds = {parameter.kind for parameter in parameters}
        positional = [parameter.name for parameter in parameters if parameter.kind in _POSITIONAL]
        required = frozenset(p.name for p in parameters if p.default is p.empty and p.kind not in _VARIABLE)
        named = frozenset(parameter.name for parameter in parameters if parameter.kind in _NAMED)
        taken = [frozenset(positional[:count]) for count in range(len(positional) + 1)]
        return cls(
            missing=tuple(required - names for names in taken),
            allowed=tuple(named - names for names in taken),
            takes_any_number=inspect.Parameter.VAR_POSITIONAL in kinds,
            takes_any_name=inspect.Parameter.VAR_KEYWORD in kinds,
        )

    def takes(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Tell whether a call surely binds; False leaves it to `inspect.Signature.bind`."""
        count, most = len(args), len(self.missing) - 1
        if count > most:
            if not self.takes_any_number:
                return False
            count = most
        if not kwargs:
            return not self.missing[count]
        return self.missing[count] <= kwargs.keys() <= self.allowed[count]


class Plan:
    """The shapes of a signature's parameters and of its result.

    Args:
        func: The task's function.
        signature: Its signature as callers see it.
        codecs: The app's codecs.
        task: The task's name, for messages.
    """

    def __init__(self, func: Callable[..., Any], signature: inspect.Signature, codecs: Codecs, task: str) -> None:
        self._task = task
        annotations = read_annotations(func, signature)
        kinds = {name: parameter.kind for name, parameter in signature.parameters.items()}
        shapes = {name: Shape(annotations[name], codecs, self._place(name), name) for name in kinds}
        self._positional_names = [name for name, kind in kinds.items() if kind in _POSITIONAL]
        self._positional = [shapes[name] for name in self._positional_names]
        self._named = {name: shape for name, shape in shapes.items() if kinds[name] in _NAMED}
        by_kind = {kind: name for name, kind in kinds.items() if kind in _VARIABLE}
        self._rest_name = by_kind.get(inspect.Parameter.VAR_POSITIONAL, "")
        self._rest = shapes.get(self._rest_name)
        self._extra = shapes.get(by_kind.get(inspect.Parameter.VAR_KEYWORD, ""))
        self.returns = Shape(annotations["return"], codecs, f"the return value of task {task!r}", "result")

    def packed(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return a bound call as values that encode to JSON as they stand, each one checked.

        Raises:
            ArgumentsError: An argument does not fit its annotation.
            PayloadError: An argument cannot be stored.
        """
        positional = [
            value if is_exact(shape, value) else shape.dump(value)
            for shape, value in zip(self._shapes(args), args, strict=False)
        ]
        return positional, {name: self._packed_by_name(name, value) for name, value in kwargs.items()}

    def packed_with_care(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Do the same without the short cut for plain scalars, so that the wrong one is named."""
        positional = [shape.dump(value) for shape, value in zip(self._shapes(args), args, strict=False)]
        return positional, {name: self._shape(name).dump(value) for name, value in kwargs.items()}

    def rebuilt(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return a bound call of JSON values as the function takes it.

        Raises:
            ArgumentsError: A value does not fit its annotation.
        """
        positional = [
            raw if type(raw) in shape.exact else shape.load(raw)
            for shape, raw in zip(self._shapes(args), args, strict=False)
        ]
        if not kwargs:
            return tuple(positional), {}
        return tuple(positional), {name: self._rebuilt_by_name(name, raw) for name, raw in kwargs.items()}

    def parts(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Yield each argument of a bound call with its name, ready to encode."""
        positional, named = self.packed(args, kwargs)
        rest = (f"{self._rest_name}[{index}]" for index in range(len(args)))
        yield from zip(chain(self._positional_names, rest), positional, strict=False)
        yield from named.items()

    def canonical(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of a bound call by parameter, each as the worker would see it.

        Raises:
            ArgumentsError: An argument does not fit its annotation.
            PayloadError: An argument cannot be stored.
        """
        seen = [shape.canonical(value) for shape, value in zip(self._shapes(args), args, strict=False)]
        values = dict(zip(self._positional_names, seen, strict=False))
        if self._rest_name:
            values[self._rest_name] = seen[len(self._positional) :]
        return values | {name: self._shape(name).canonical(value) for name, value in kwargs.items()}

    def _shapes(self, args: Sequence[Any]) -> Iterable[Shape]:
        if self._rest is None or len(args) <= len(self._positional):
            return self._positional
        return chain(self._positional, repeat(self._rest))

    def _shape(self, name: str) -> Shape:
        shape = self._named.get(name)
        if shape is None:
            assert self._extra is not None, "the call is bound"
            shape = self._extra.called(self._place(name), name)
        return shape

    def _packed_by_name(self, name: str, value: Any) -> Any:
        shape = self._shape(name)
        return value if is_exact(shape, value) else shape.dump(value)

    def _rebuilt_by_name(self, name: str, raw: Any) -> Any:
        shape = self._shape(name)
        return raw if type(raw) in shape.exact else shape.load(raw)

    def _place(self, name: str) -> str:
        return f"argument {name!r} of task {self._task!r}"
