"""Refusing limits and breakers where they are said, with the place in the user's code."""

from __future__ import annotations

import re
from typing import Any, Final

from lineshaft.clock import Duration, to_micros
from lineshaft.counts import is_count
from lineshaft.errors import ConfigError
from lineshaft.place import calling_place

ErrorTypes = type[BaseException] | tuple[type[BaseException], ...]

_LONGEST_NAME: Final = 100
# A colon ends the kind of a gate's key, an equals sign its rule; the rest stands in lists and in shells.
_NAME: Final = re.compile(rf"[^\x00-\x20:=,\x7f]{{1,{_LONGEST_NAME}}}")


def refused(text: str) -> ConfigError:
    """Return the error that says what is wrong, and where in the user's code it was said, if it was there."""
    what, semicolon, cure = text.partition("; ")
    place = calling_place()
    return ConfigError(f"{what}{semicolon}{cure}" if place == "?" else f"{what} (at {place}){semicolon}{cure}")


def check_name(what: str, name: Any) -> None:
    """Raise `ConfigError` unless this is a name for a breaker or a limit, or None."""
    if name is not None and not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise refused(f"name={name!r} of {what} must be 1 to {_LONGEST_NAME} characters without space, colon, comma, =")


def check_whole(option: str, what: str, value: Any, most: int) -> None:
    """Raise `ConfigError` unless the value is a whole number from 1 to `most`."""
    if not is_count(value, most):
        raise refused(f"{option}={value!r} of {what} must be a whole number from 1 to {most:,}")


def check_flag(option: str, what: str, value: Any) -> None:
    """Raise `ConfigError` unless the value is True or False."""
    if not isinstance(value, bool):
        raise refused(f"{option}={value!r} of {what} must be True or False")


def check_errors(what: str, errors: Any) -> None:
    """Raise `ConfigError` unless these are exception types."""
    types = errors if isinstance(errors, tuple) else (errors,)
    if not all(isinstance(one, type) and issubclass(one, BaseException) for one in types):
        raise refused(f"on={errors!r} of {what} must be an exception type or a tuple of them")


def checked_time(option: str, what: str, value: Duration) -> int:
    """Return a duration in microseconds; raises `ConfigError`."""
    try:
        return to_micros(value, f"{option} of {what}")
    except ConfigError as error:
        raise refused(str(error)) from None
