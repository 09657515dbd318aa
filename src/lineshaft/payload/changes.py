"""Finds what a trip through JSON would silently change."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from lineshaft.payload.codecs import is_pydantic_model

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lineshaft.payload.codecs import Codecs

_JSON: Final = frozenset({bool, int, float, str, list, tuple, dict})
# Equal to one of these is the same, or the float that an annotation makes of an int.
_SCALARS: Final = frozenset({type(None), bool, int, float, str})
_Parts = list[tuple[Any, Any, str]]


class Change(NamedTuple):
    """A place in a value where something else would come back."""

    path: str
    value: Any
    rebuilt: Any


def find_change(value: Any, rebuilt: Any, path: str, codecs: Codecs) -> Change | None:
    """Return the first place where the rebuilt value is less than the given one, or None.

    Becoming more is fine: a tuple may return as the list that JSON has, an int as the annotated float, and a JSON
    form (the text of a date, the dict of a dataclass) as what the annotation makes of it. Text for bytes is not:
    many a word is valid base64 too.
    """
    if isinstance(value, dict) and isinstance(rebuilt, dict) and (change := _changed_key(value, rebuilt, path)):
        return change
    parts = _parts(value, rebuilt, path)
    if parts is not None:
        return next((change for part in parts if (change := find_change(*part, codecs))), None)
    return None if _survives(value, rebuilt, codecs) else Change(path, value, rebuilt)


def _changed_key(value: dict[Any, Any], rebuilt: dict[Any, Any], path: str) -> Change | None:
    if value.keys() == rebuilt.keys():
        return None
    lost = next((key for key in value if key not in rebuilt), None)
    # The text of a number or a date becomes the annotated key; a TypedDict drops the keys that it does not name.
    promoted = isinstance(lost, str) and len(value) == len(rebuilt)
    return None if promoted else Change(f"the key {lost!r} of {path}", lost, str(lost))


def _parts(value: Any, rebuilt: Any, path: str) -> _Parts | None:
    """Pair up what two values hold, or return None when they are to be compared as wholes."""
    # Most items of long lists are the same scalars; leaving them out here is what makes long lists cheap.
    if isinstance(value, dict) and isinstance(rebuilt, dict):
        items = ((key, item, back) for (key, item), back in zip(value.items(), rebuilt.values(), strict=True))
        return [
            (item, back, f"{path}[{key!r}]") for key, item, back in items if type(item) not in _SCALARS or item != back
        ]
    if _both_are_sequences(value, rebuilt):
        pairs = enumerate(zip(value, rebuilt, strict=True))
        return [(item, back, f"{path}[{i}]") for i, (item, back) in pairs if type(item) not in _SCALARS or item != back]
    names = _field_names(type(value)) if type(value) is type(rebuilt) else None
    if names is None:
        return None
    return [(getattr(value, name), getattr(rebuilt, name), f"{path}.{name}") for name in names]


def _both_are_sequences(value: Any, rebuilt: Any) -> bool:
    # A NamedTuple may return as a tuple, which it is, but not as a list, which has none of its names.
    alike = isinstance(value, list | tuple) and isinstance(rebuilt, list | tuple) and len(value) == len(rebuilt)
    return alike and (type(value) in _JSON or isinstance(value, type(rebuilt)))


def _field_names(type_: type[Any]) -> Iterable[str] | None:
    if is_dataclass(type_):
        return [field.name for field in fields(type_) if field.compare]
    if issubclass(type_, msgspec.Struct):
        return type_.__struct_fields__
    if hasattr(type_, "__attrs_attrs__"):
        return [attribute.name for attribute in type_.__attrs_attrs__ if attribute.eq]
    if is_pydantic_model(type_):
        return list(type_.model_fields)
    return None


def _survives(value: Any, rebuilt: Any, codecs: Codecs) -> bool:
    kind = type(value)
    if kind is type(rebuilt):
        # What inherits object's equality, or is a codec's, cannot be asked; NaN of Decimal is not equal to itself.
        trusted = kind.__eq__ is object.__eq__ or codecs.knows(kind)  # type: ignore[comparison-overlap]
        return trusted or bool(value == rebuilt) or bool(value != value)  # noqa: PLR0124
    if isinstance(value, type(rebuilt)):
        return not isinstance(value, Enum) and bool(value == rebuilt)
    if isinstance(rebuilt, float):  # an int beyond 2**53 would be rounded
        return bool(value == rebuilt)
    return kind in _JSON and not isinstance(rebuilt, bytes | bytearray | memoryview)
