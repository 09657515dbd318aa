"""Finding the user's app: by `module:name`, from an option, `$LINESHAFT_APP` or pyproject.toml."""

from __future__ import annotations

import importlib
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

from lineshaft.app.core import Lineshaft
from lineshaft.errors import ConfigError, LineshaftError


def find_app_path(given: str | None, folder: Path) -> str | None:
    """Return what names the app, `module:name`: what is given, the environment, or a pyproject.toml; or None.

    The pyproject.toml is the nearest one above `folder` with `[tool.lineshaft] app`; its own folder becomes importable.
    Raises `ConfigError` when such a file cannot be read.
    """
    return given or os.environ.get("LINESHAFT_APP") or _of_project(folder)


def import_app(path: str, folder: Path) -> Lineshaft:
    """Return the app that `module:name` names, importing its module with `folder` first on the path.

    Raises `ConfigError` when the path is none or names no app, `LineshaftError` when the module breaks.
    """
    module_name, colon, name = path.partition(":")
    if not (colon and name and module_name):
        msg = f"{path!r} does not name an app; write module:name, such as work:app for `app` in work.py"
        raise ConfigError(msg)
    _make_importable(folder)
    app = _app_in(_import(module_name, folder), name, path)
    app.named_as = path
    return app


def _make_importable(folder: Path) -> None:
    # `python -m` puts the folder there itself; the installed program has its own one instead.
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _import(name: str, folder: Path) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            msg = f"there is no module {error.name!r} in {folder} or among the installed ones; check the app {name}:…"
            raise ConfigError(msg) from error
        raise _broken(name, error) from error
    except (Exception, SystemExit) as error:
        raise _broken(name, error) from error


def _broken(name: str, error: BaseException) -> LineshaftError:
    kind = ConfigError if isinstance(error, ConfigError) else LineshaftError
    text = " ".join(str(error).split())
    return kind(f"the app's module {name!r} cannot be imported: {type(error).__name__}: {text}; --debug shows where")


def _app_in(module: Any, name: str, path: str) -> Lineshaft:
    found = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if isinstance(found, Lineshaft):
        return found
    apps = [f"{module.__name__}:{key}" for key, value in vars(module).items() if isinstance(value, Lineshaft)]
    what = "does not exist" if found is None else f"is a {type(found).__name__}, not a Lineshaft app"
    advice = f"name {apps[0]}" if apps else f"module {module.__name__!r} holds no Lineshaft app"
    raise ConfigError(f"{path} {what}; {advice}")


def _of_project(start: Path) -> str | None:
    for folder in (start, *start.parents):
        app = _app_setting(folder / "pyproject.toml")
        if app is not None:
            _make_importable(folder)
            return app
    return None


def _app_setting(file: Path) -> str | None:
    try:
        project = tomllib.loads(file.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not TOML: {error}; mend it, or name the app in another way") from error
    tool = project.get("tool")
    section = tool.get("lineshaft", {}) if isinstance(tool, dict) else {}
    app = section.get("app") if isinstance(section, dict) else None
    if app is not None and not isinstance(app, str):
        raise ConfigError(f'[tool.lineshaft] app={app!r} in {file} must be a text such as "work:app"')
    return app
