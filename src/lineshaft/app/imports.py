"""Importing the modules that an app names, so that their tasks are known; and how a child finds the app."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

from lineshaft.errors import ConfigError

_ALL: Final = ".*"
_FILE: Final = "file:"


def import_all(names: Sequence[str]) -> None:
    """Import modules; a name that ends in `.*` means the modules of that package.

    Raises `ConfigError`, in one line, for what cannot be imported; what the module raised is its cause.
    """
    for name in names:
        for module in _modules(name):
            _import(name, module)


def path_of(app: object, made_in: str) -> str | None:
    """Return how a child finds an app: `module:name`, or `file:PATH:name` for a script; None when it cannot.

    `made_in` is the name of the module that made it.
    """
    module = sys.modules.get(made_in)
    name = next((key for key, value in vars(module).items() if value is app), None) if module else None
    if name is None or module is None:
        return None
    if made_in != "__main__":
        return f"{made_in}:{name}"
    spec = getattr(module, "__spec__", None)
    if spec is not None:
        return f"{spec.name}:{name}"
    file = getattr(module, "__file__", None)
    return f"file:{Path(file).resolve()}:{name}" if file else None


def identity_of(path: str | None, made_in: str) -> str:
    """Return what an app is known by among others: `module:name`, the same whether its module is run or imported.

    `path` is that of `path_of`; an app that no name leads to is known by its module alone.
    """
    if path is None:
        return made_in
    place, _, name = path.rpartition(":")
    if place.startswith(_FILE):
        place = Path(place.removeprefix(_FILE)).stem
    return f"{place.removesuffix('.__main__')}:{name}"


def _modules(name: str) -> Iterator[str]:
    if not name.endswith(_ALL):
        yield name
        return
    package = _import(name, name.removesuffix(_ALL))
    if not hasattr(package, "__path__"):
        msg = f"imports: {name!r} cannot be imported: {package.__name__} is no package; name it without '.*'"
        raise ConfigError(msg)
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        yield module.name


def _import(name: str, module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except Exception as error:
        where = "" if module == name else f" in {module}"
        said = (str(error).splitlines() or [""])[0]
        msg = f"imports: {name!r} cannot be imported: {type(error).__name__}{where}: {said}"
        raise ConfigError(msg) from error
