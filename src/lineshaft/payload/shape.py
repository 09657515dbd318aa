"""How values of one annotation are stored and rebuilt."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from math import isfinite
from pathlib import PurePath
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, TypeVar, Union, get_args, get_origin

import msgspec

from lineshaft.errors import ArgumentsError, PayloadError
from lineshaft.payload.changes import find_change
from lineshaft.payload.parameters import Unresolved
from lineshaft.payload.refusals import first_not_plain, one_line
from lineshaft.payload.wire import encode, too_deep

if TYPE_CHECKING:
    from lineshaft.payload.changes import Change
    from lineshaft.payload.codecs import Codecs

_SCALARS: Final = frozenset({type(None), bool, int, float, str})
_OPEN: Final = frozenset({Any, object, inspect.Parameter.empty})


class Shape:
    """Stores and rebuilds the values of one parameter, or of the return value.

    A value of exactly one of the types in `exact` needs neither `dump` nor `load`, unless it is NaN or infinite.

    Args:
        annotation: The type, or `inspect.Parameter.empty` for none, or an `Unresolved` one.
        codecs: The app's codecs.
        place: What the value is, for messages: "argument 'x' of task 'y'".
        path: The value's short name, to which places inside are added.
    """

    __slots__ = ("_annotation", "_codecs", "_obstacle", "_path", "_place", "exact")

    def __init__(self, annotation: Any, codecs: Codecs, place: str, path: str) -> None:
        self._annotation = annotation
        self._codecs = codecs
        self._place = place
        self._path = path
        self._obstacle = _obstacle(annotation, codecs)
        self.exact = _SCALARS if self._obstacle is not None else _exact(annotation)

    def called(self, place: str, path: str) -> Shape:
        """Return the same shape for another place: one of the values that `**kwargs` takes."""
        other = copy.copy(self)
        other._place, other._path = place, path  # noqa: SLF001 - its own kind
        return other

    def dump(self, value: Any) -> msgspec.Raw:
        """Return a value's JSON, made sure that `load` gives the value back.

        Raises:
            ArgumentsError: The value does not fit the annotation.
            PayloadError: The value cannot be stored, or would come back as something else.
        """
        encoded = encode(value, self._codecs, self._place, self._path)
        try:
            if self._obstacle is not None:
                self._check_plain(value)
            elif _base_of(value) not in self.exact:
                self._check_rebuilt(value, self._rebuild(msgspec.json.decode(encoded)))
        except RecursionError:
            raise too_deep(self._place) from None
        return msgspec.Raw(encoded)

    def load(self, raw: Any) -> Any:
        """Rebuild a value from what JSON holds.

        Raises:
            ArgumentsError: The JSON value does not fit the annotation.
        """
        return raw if self._obstacle is not None else self._rebuild(raw)

    def canonical(self, value: Any) -> Any:
        """Return the value as the worker would see it, whichever of its forms was given.

        Raises:
            ArgumentsError: The value does not fit the annotation.
            PayloadError: The value cannot be stored.
        """
        return value if is_exact(self, value) else self.load(msgspec.json.decode(self.dump(value)))

    def _rebuild(self, raw: Any) -> Any:
        try:
            return msgspec.convert(raw, self._annotation, str_keys=True, dec_hook=self._codecs.load_hook)
        except msgspec.ValidationError as error:
            said = one_line(error).replace("`$", f"`{self._path}")
            raise ArgumentsError(f"{self._place} does not fit its annotation {self._shown()}: {said}") from None
        except Exception as error:  # a class's own __init__ or __post_init__ may raise anything
            said = f"{type(error).__qualname__}: {one_line(error)}"
            raise ArgumentsError(f"{self._place} cannot be rebuilt as {self._shown()}: {said}") from error

    def _check_plain(self, value: Any) -> None:
        found = first_not_plain(value, self._path)
        if found is None:
            return
        where, culprit = found
        kind = type(culprit).__qualname__
        found_it = (
            f"{self._place} is of type {kind}" if culprit is value else f"{self._place} holds a {kind} at {where}"
        )
        if where.startswith("the key "):
            raise PayloadError(f"{self._place} has a key that is no text ({where}); use str keys, or annotate the dict")
        if self._obstacle:
            raise PayloadError(
                f"{found_it}, but {self._obstacle}; "
                "annotate it with a type that can be rebuilt, or pass plain JSON values"
            )
        raise PayloadError(
            f"{found_it} and no annotation says how to rebuild it; "
            f"annotate it, for example {self._path}: {_example(value, culprit)}"
        )

    def _check_rebuilt(self, value: Any, rebuilt: Any) -> None:
        change = find_change(value, rebuilt, self._path, self._codecs)
        if change is None:
            return
        if change.path == self._path and type(change.value) is not type(change.rebuilt):
            raise ArgumentsError(
                f"{self._place} must be {self._shown()}, got {type(value).__qualname__}; "
                "pass a value of that type, or change the annotation"
            )
        raise PayloadError(f"{self._place} {_loss(change)}; annotate that place with its type, or convert it first")

    def _shown(self) -> str:
        return inspect.formatannotation(self._annotation)


def is_exact(shape: Shape, value: Any) -> bool:
    """Tell whether a value is stored as it stands: a plain scalar of exactly an annotated type."""
    kind = type(value)
    return kind in shape.exact and (kind is not float or isfinite(value))


def _loss(change: Change) -> str:
    before, after = type(change.value).__qualname__, type(change.rebuilt).__qualname__
    if before == after:
        return f"holds a {before} at {change.path} that would come back different"
    return f"holds a {before} at {change.path} that would come back as {after}"


def _example(value: Any, culprit: Any) -> str:
    inner = "Path" if isinstance(culprit, PurePath) else type(culprit).__qualname__
    if value is culprit:
        return inner
    return f"dict[str, {inner}]" if isinstance(value, dict) else f"list[{inner}]"


def _base_of(value: Any) -> type[Any] | None:
    # A StrEnum for a `str` and an IntEnum for an `int` are what the annotation says, and come back as that.
    return next((base for base in (bool, int, float, str) if isinstance(value, base)), None)


def _obstacle(annotation: Any, codecs: Codecs) -> str | None:
    """Say why values cannot be rebuilt by an annotation: "" for none at all, None when they can."""
    if isinstance(annotation, Unresolved):
        return f"its annotation {annotation.text} names what does not exist at run time"
    if _is_open(annotation):
        return ""
    if any(_is_abstract(part) for part in _mentioned(annotation)):
        return f"its annotation {inspect.formatannotation(annotation)} is no type that a value can be rebuilt as"
    try:
        msgspec.json.Decoder(annotation, dec_hook=codecs.load_hook)
    except Exception as error:  # noqa: BLE001 - msgspec evaluates the fields of the user's classes
        return f"its annotation {inspect.formatannotation(annotation)} cannot be rebuilt ({one_line(error)})"
    return None


def _is_open(annotation: Any) -> bool:
    try:
        return annotation in _OPEN
    except TypeError:  # metadata of Annotated need not be hashable
        return False


def _mentioned(annotation: Any) -> list[Any]:
    inside = [part for argument in get_args(annotation) for part in _mentioned(argument)]
    return [annotation, get_origin(annotation), *inside]


def _is_abstract(annotation: Any) -> bool:
    is_protocol = isinstance(annotation, type) and getattr(annotation, "_is_protocol", False)
    return is_protocol or annotation is Callable or annotation is type or isinstance(annotation, TypeVar)


def _exact(annotation: Any) -> frozenset[type[Any]]:
    """Return the scalar types that an annotation takes without any further condition."""
    while hasattr(annotation, "__supertype__"):  # NewType
        annotation = annotation.__supertype__
    if annotation is None:
        return frozenset({type(None)})
    members = get_args(annotation) if get_origin(annotation) in {Union, UnionType} else (annotation,)
    return frozenset(member for member in members if isinstance(member, type) and member in _SCALARS)
