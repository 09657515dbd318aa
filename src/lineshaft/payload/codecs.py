"""Which types can be stored besides those that msgspec knows, and how they become JSON and come back."""

from __future__ import annotations

import enum
import sys
from dataclasses import dataclass, is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_origin
from uuid import UUID

import msgspec

from lineshaft.errors import ConfigError
from lineshaft.payload.refusals import UnstorableError, is_foreign_scalar, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# msgspec stores these itself and never asks a hook, so a codec for one of them would silently not count.
_NATIVE: Final = (
    *(bool, int, float, str, bytes, bytearray, memoryview, list, tuple, dict, set, frozenset, type(None)),
    *(date, time, timedelta, Decimal, UUID, enum.Enum, msgspec.Struct, msgspec.Raw),
)
# Subclasses of these reach the hook; their base is stored, and `find_change` refuses where that would show.
# The classes themselves reach it only as keys of a dict, and are refused.
_BASES: Final[tuple[type[Any], ...]] = (str, int, float, list, tuple)


@dataclass(frozen=True, slots=True)
class _Codec:
    dump: Callable[[Any], Any]
    load: Callable[[type[Any], Any], Any]


class Codecs:
    """Holds the types that an app can store beyond the ones built in.

    Built in are JSON values, datetime, date, time, timedelta, UUID, Decimal, bytes, Enum, set, frozenset, tuple,
    NamedTuple, TypedDict, dataclass, attrs and msgspec classes, paths and pydantic models, nested anywhere.

    Attributes:
        encoder: The JSON encoder that knows these codecs.
    """

    def __init__(self) -> None:
        self._codecs: dict[type[Any], _Codec] = {PurePath: _Codec(str, lambda type_, raw: type_(raw))}
        self._found: dict[type[Any], _Codec | None] = {}
        self.encoder = msgspec.json.Encoder(enc_hook=self.dump_hook)

    def add(self, type_: type[T], dump: Callable[[T], Any], load: Callable[[Any], T]) -> None:
        """Store values of a type, and of its subclasses, by a pair of functions.

        Args:
            type_: The class; a parameter or a return value annotated with it is rebuilt by `load`.
            dump: Turns a value into JSON values or into other storable ones.
            load: Turns what `dump` gave, read back from JSON, into the value.

        Raises:
            ConfigError: `type_` is not a class, or is one that is stored without a codec.
        """
        if not isinstance(type_, type):
            raise ConfigError(f"a codec needs a class, got {type_!r}; pass the class whose values it stores")
        if is_native(type_):
            raise ConfigError(f"{type_.__qualname__} is stored without a codec; remove the codec for it")
        self._codecs[type_] = _Codec(dump, lambda _, raw: load(raw))
        self._found.clear()

    def knows(self, type_: type[Any]) -> bool:
        """Tell whether a codec, added or built in, stores this type."""
        return self._find(type_) is not None

    def dump_hook(self, value: Any) -> Any:
        """Turn a value that msgspec does not know into one that it does.

        Raises:
            UnstorableError: Nothing here knows the value's type.
        """
        codec = self._find(type(value))
        if codec is not None:
            return codec.dump(value)
        for base in _BASES:
            if isinstance(value, base) and type(value) is not base and not is_foreign_scalar(value):
                return base(value)
        raise UnstorableError(value)

    def load_hook(self, type_: type[Any], raw: Any) -> Any:
        """Rebuild a value of a type that msgspec does not know from its JSON form.

        Raises:
            ValueError: The JSON form does not fit the type, or nothing here knows the type.
        """
        origin = get_origin(type_) or type_
        codec = self._find(origin)
        if codec is None:
            if isinstance(raw, origin):  # an abstract class such as Iterable, which plain JSON satisfies
                return raw
            raise ValueError(f"Expected `{origin.__qualname__}`, got `{type(raw).__qualname__}`")
        try:
            return codec.load(origin, raw)
        except Exception as error:
            # msgspec names the place in the value for a ValueError only, and a user's codec may raise anything.
            raise ValueError(f"Expected `{origin.__qualname__}` ({one_line(error)})") from error

    def _find(self, type_: type[Any]) -> _Codec | None:
        try:
            return self._found[type_]
        except KeyError:
            found = self._found[type_] = self._search(type_)
            return found

    def _search(self, type_: type[Any]) -> _Codec | None:
        by_class = (self._codecs[base] for base in type_.__mro__ if base in self._codecs)
        return next(by_class, None) or (_PYDANTIC if is_pydantic_model(type_) else None)


def is_pydantic_model(type_: type[Any]) -> bool:
    """Tell whether a class is a pydantic model, without importing pydantic: nobody made a model before it was."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and issubclass(type_, pydantic.BaseModel)


def is_native(type_: type[Any]) -> bool:
    """Tell whether msgspec stores values of this class itself."""
    return issubclass(type_, _NATIVE) or is_dataclass(type_) or hasattr(type_, "__attrs_attrs__")


def _dump_model(model: Any) -> Any:
    return model.model_dump(mode="json", round_trip=True, by_alias=False)


def _load_model(type_: Any, raw: Any) -> Any:
    # Through JSON text: a strict model takes a date or a set from JSON only. By alias too: HTTP clients use it.
    try:
        return type_.model_validate_json(msgspec.json.encode(raw), by_alias=True, by_name=True)
    except sys.modules["pydantic"].ValidationError as error:
        faults = error.errors(include_url=False, include_context=False)
        said = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'model'}: {fault['msg']}" for fault in faults[:3])
        raise ValueError(said) from error


_PYDANTIC: Final = _Codec(_dump_model, _load_model)
