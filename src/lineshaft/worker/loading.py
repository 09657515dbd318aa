"""Finding the app in a child process: imports its module, up to the line that would start a worker."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from contextlib import suppress
from functools import reduce
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from lineshaft.errors import ConfigError

CHILD_VARIABLE: Final = "LINESHAFT_CHILD"
"""Set to 1 in the environment of a child while it imports the app."""

_FILE: Final = "file:"


class ImportStop(BaseException):
    """Raised where a module would start a worker while a child imports it; a `BaseException`, to pass through."""


def load_app(path: str) -> Any:
    """Return the app that `module:name` or `file:/path/script.py:name` names.

    A script is imported under its stem, by which its tasks are named. Raises `ConfigError` when there is no such
    module or name, and what the module itself raises.
    """
    place, _, name = path.rpartition(":")
    if not place or not name:
        msg = f"the app's path {path!r} must look like module:name"
        raise ConfigError(msg)
    module = _import(_spec(place))
    try:
        return reduce(getattr, name.split("."), module)
    except AttributeError:
        msg = f"{place} has no {name!r} before it starts a worker; define the app at the module's top level"
        raise ConfigError(msg) from None


def _spec(place: str) -> ModuleSpec:
    if place.startswith(_FILE):
        file = Path(place.removeprefix(_FILE))
        spec = importlib.util.spec_from_file_location(file.stem, file)
    else:
        spec = importlib.util.find_spec(place)
    if spec is None or spec.loader is None:
        msg = f"there is no module {place!r} to find the app in"
        raise ConfigError(msg)
    return spec


def _import(spec: ModuleSpec) -> ModuleType:
    """Import a module; one that stops on the way is kept as far as it came, where `import` would drop it."""
    known = sys.modules.get(spec.name)
    if known is not None and getattr(known, "__file__", None) == spec.origin:
        return known
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    with suppress(ImportStop):  # the module is whole up to the line that starts a worker: all that a child needs
        spec.loader.exec_module(module)
    parent, _, child = spec.name.rpartition(".")
    if parent:
        setattr(importlib.import_module(parent), child, module)
    return module
