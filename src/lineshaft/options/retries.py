"""A retry policy as JSON: strategies by kind, functions and exception types by import path."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final, cast

from lineshaft.clock import to_micros
from lineshaft.errors import ConfigError
from lineshaft.retry import Exponential, Fixed, Linear, Retry

_STRATEGIES: Final[dict[str, type[Any]]] = {"exponential": Exponential, "linear": Linear, "fixed": Fixed}


def dump_retry(retry: Retry) -> dict[str, Any]:
    """Return a retry policy as JSON values; raises `ConfigError` when a callable in it cannot be imported by name."""
    return {
        "max_attempts": retry.max_attempts,
        "backoff": _dump_backoff(retry.backoff),
        "retry_on": dump_errors("retry_on", retry.retry_on),
        "give_up_on": dump_errors("give_up_on", retry.give_up_on),
    }


def load_retry(stored: Mapping[str, Any]) -> Retry:
    """Return the policy that `dump_retry` gave; raises `ConfigError` when something in it cannot be imported."""
    return Retry(
        max_attempts=stored["max_attempts"],
        backoff=_load_backoff(stored["backoff"]),
        retry_on=load_errors(stored["retry_on"]),
        give_up_on=load_errors(stored["give_up_on"]),
    )


def _dump_backoff(backoff: Any) -> dict[str, Any]:
    for kind, strategy in _STRATEGIES.items():
        if type(backoff) is strategy:
            values = {one.name: getattr(backoff, one.name) for one in fields(strategy)}
            times = {k: f"{to_micros(v) // 1000}ms" for k, v in values.items() if k in ("base", "cap", "wait")}
            return {"kind": kind, **values, **times}
    return {"call": _import_path("backoff", backoff)}


def _load_backoff(stored: Mapping[str, Any]) -> Any:
    if "call" in stored:
        return import_by_path(stored["call"])
    values = dict(stored)
    return _STRATEGIES[values.pop("kind")](**values)


def dump_errors(name: str, errors: Any) -> Any:
    """Return exception types, or a function that picks errors, as import paths.

    Raises `ConfigError`, naming the option, when one cannot be imported by name.
    """
    if isinstance(errors, tuple):
        return [_import_path(name, one) for one in errors]
    return _import_path(name, errors)


def load_errors(stored: Any) -> Any:
    """Return what `dump_errors` gave; raises `ConfigError` when something in it cannot be imported."""
    return tuple(map(import_by_path, stored)) if isinstance(stored, list) else import_by_path(stored)


def _import_path(name: str, thing: Any) -> str:
    path = f"{getattr(thing, '__module__', None)}:{getattr(thing, '__qualname__', None)}"
    try:
        found = import_by_path(path)
    except ConfigError:
        found = None
    if found is not thing:
        msg = f"{name}={thing!r} in options is stored with the job and so has to be importable by name"
        raise ConfigError(msg)
    return path


def import_by_path(path: str) -> Any:
    """Return what `module:qualified.name` names; raises `ConfigError` when it cannot be imported."""
    module, _, qualname = path.partition(":")
    try:
        thing: Any = importlib.import_module(module)
        for part in qualname.split("."):
            thing = getattr(thing, part)
    except (ImportError, AttributeError, ValueError) as error:
        msg = f"{path!r} cannot be imported: {error}"
        raise ConfigError(msg) from error
    return cast(Any, thing)
