"""Whole numbers from 1 that people give: checked in one way, by which `True` is none."""

from __future__ import annotations

from typing import Any, TypeGuard

from lineshaft.errors import ConfigError


def is_count(value: Any, most: int | None = None) -> TypeGuard[int]:
    """Tell whether a value is a whole number from 1, and no larger than `most`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1 and (most is None or value <= most)


def checked_count(name: str, value: Any, most: int | None = None, *, error: type[ConfigError] = ConfigError) -> int:
    """Return a whole number from 1, and no larger than `most`; raises `error`, naming the argument."""
    if is_count(value, most):
        return value
    msg = f"{name}={value!r} must be a whole number from 1" + ("" if most is None else f" to {most:,}")
    raise error(msg)
