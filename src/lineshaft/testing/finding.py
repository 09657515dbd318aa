"""Finding the app of a project that is tested."""

from __future__ import annotations

import importlib
import os
import sys
import tomllib
from functools import reduce
from pathlib import Path
from typing import Any

from lineshaft.app import Lineshaft


def app_of_project(option: str, root: Path) -> Lineshaft:
    """Return the app that an option, $LINESHAFT_APP or `[tool.lineshaft] app` names, in this order.

    `option` is `module:name` or empty; `root` is the folder to start from, which becomes importable. Raises
    `LookupError` when nothing names an app or it is none, and what its module raises.
    """
    path = option or os.environ.get("LINESHAFT_APP") or _of_pyproject(root)
    if not path:
        msg = (
            "no Lineshaft app is named: set lineshaft_app in pytest's configuration, $LINESHAFT_APP, or app in "
            "[tool.lineshaft] of pyproject.toml to 'module:name', or write a fixture lineshaft_app that returns it"
        )
        raise LookupError(msg)
    _make_importable(root)
    return _load(path)


def _load(path: str) -> Lineshaft:
    module_name, _, name = path.partition(":")
    if not module_name or not name:
        msg = f"the Lineshaft app {path!r} must be named as module:name, such as shop:app"
        raise LookupError(msg)
    try:
        app: Any = reduce(getattr, name.split("."), importlib.import_module(module_name))
    except (ModuleNotFoundError, AttributeError) as error:
        msg = f"the Lineshaft app {path!r} cannot be found: {error}"
        raise LookupError(msg) from error
    if not isinstance(app, Lineshaft):
        raise LookupError(f"{path!r} is a {type(app).__name__}, not a Lineshaft app")  # noqa: TRY004 - it named it
    return app


def _of_pyproject(root: Path) -> str | None:
    for folder in (root, *root.parents):
        file = folder / "pyproject.toml"
        app = _setting(file) if file.is_file() else None
        if app:
            _make_importable(folder)
            return app
    return None


def _setting(file: Path) -> str | None:
    try:
        found = tomllib.loads(file.read_text("utf-8")).get("tool", {}).get("lineshaft", {}).get("app")
    except tomllib.TOMLDecodeError as error:
        msg = f"{file} is not TOML: {error}"
        raise LookupError(msg) from error
    return str(found) if found else None


def _make_importable(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
