"""Why a value cannot be stored, and what its owner can do instead."""

from __future__ import annotations

import functools
import io
import types
from collections.abc import Callable, ItemsView, Iterator, KeysView, ValuesView
from math import isfinite
from typing import Final

_SCALARS: Final = frozenset({type(None), bool, int, float, str})
_FRAMES: Final = frozenset({"pandas", "polars", "pyarrow", "dask", "modin"})
_ARRAYS: Final = frozenset({"numpy", "torch", "jax", "jaxlib", "cupy", "tensorflow"})
_CODE: Final = (
    *(type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType, functools.partial),
)
_LONGEST: Final = 300


class UnstorableError(Exception):
    """A value of a type that nothing knows how to store; it is turned into a PayloadError with its place."""

    def __init__(self, value: object) -> None:
        super().__init__(type(value).__qualname__)
        self.value = value


def one_line(error: BaseException) -> str:
    """Return an error's message as one line of bearable length, or its type's name when it says nothing."""
    said = " ".join(str(error).split()) or type(error).__qualname__
    return said if len(said) <= _LONGEST else said[: _LONGEST - 1] + "…"


def is_foreign_scalar(value: object) -> bool:
    """Tell whether a value is an array library's number or text that passes for a Python one (`numpy.float64`)."""
    return _root(value) in _ARRAYS | _FRAMES


def advice(value: object) -> str:
    """Say in one clause what a value is and what to pass in its place."""
    return next(clause for is_it, clause in _ADVICE if is_it(value)).format(type=type(value).__qualname__)


def non_finite_path(builtins: object, path: str) -> str | None:
    """Return where NaN or an infinity stands in nested builtins, or None: JSON has no word for them."""
    if isinstance(builtins, float):
        return None if isfinite(builtins) else path
    return next((found for place, item in _children(builtins, path) if (found := non_finite_path(item, place))), None)


def first_not_plain(value: object, path: str) -> tuple[str, object] | None:
    """Return the place and the value of the first thing that JSON alone would not bring back, or None.

    None, bool, int, float, str, list and dict with str keys come back as they are; a tuple comes back as a list.
    """
    kind = type(value)
    if kind in _SCALARS:
        return None
    if kind is dict and isinstance(value, dict):
        wrong_key = next((key for key in value if type(key) is not str), None)
        if wrong_key is not None:
            return f"the key {wrong_key!r} of {path}", wrong_key
    elif kind is not list and kind is not tuple:
        return path, value
    return next((found for place, item in _children(value, path) if (found := first_not_plain(item, place))), None)


def _children(value: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        yield from ((f"{path}[{key!r}]", item) for key, item in value.items())
    elif isinstance(value, list | tuple):
        yield from ((f"{path}[{index}]", item) for index, item in enumerate(value))


def _root(value: object) -> str:
    return type(value).__module__.partition(".")[0]


def _is_lock(value: object) -> bool:
    return _root(value) in {"_thread", "threading", "multiprocessing", "asyncio"}


def _is_code(value: object) -> bool:
    return isinstance(value, _CODE)


def _is_table(value: object) -> bool:
    return _root(value) in _FRAMES


def _is_array(value: object) -> bool:
    return _root(value) in _ARRAYS


_ADVICE: Final[tuple[tuple[Callable[[object], bool], str], ...]] = (
    (_is_table, "is a {type}; save it to a file and pass its path, or pass .to_dict() of a small one"),
    (lambda value: _is_array(value) and bool(getattr(value, "shape", ())), "is a {type} array; pass its .tolist()"),
    (_is_array, "is an array library's {type}; pass its .item() or a plain Python value"),
    (lambda value: isinstance(value, io.IOBase), "is an open file ({type}); pass its path"),
    (lambda value: _root(value) in {"socket", "_socket", "ssl"}, "is an open socket ({type}); pass its address"),
    (_is_lock, "is a {type}, which lives in this process only; make it inside the task"),
    (
        lambda value: isinstance(value, types.CoroutineType | types.AsyncGeneratorType),
        "is a {type}; await it first and pass what it gives",
    ),
    (
        lambda value: isinstance(value, Iterator | range | KeysView | ValuesView | ItemsView),
        "is a {type}; pass list(…) of it",
    ),
    (
        lambda value: type(value).__module__ == "lineshaft.blobs.blob",
        "is a {type}, which only a task of an app takes; enqueue through the task itself",
    ),
    (_is_code, "is code ({type}); pass its name as text, or inject it with Inject(…)"),
    (
        lambda _: True,
        "is a {type}, which nothing knows how to store; add a codec with app.codec(…) or pass plain values",
    ),
)
