"""Finding the user's app: `--app`, `$LINESHAFT_APP` or pyproject.toml, and importing it from the current folder."""

from __future__ import annotations

import importlib
import os
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lineshaft.errors import ConfigError, LineshaftError

if TYPE_CHECKING:
    from lineshaft import Lineshaft


def find_app_path(given: str | None) -> str | None:
    """Return what names the app, `module:name`: the option, the environment, or the nearest pyproject.toml; or None."""
    return given or os.environ.get("LINESHAFT_APP") or _of_project()


def import_app(path: str) -> Lineshaft:
    """Return the app that `module:name` names, importing its module with the current folder first on the path.

    Raises `click.UsageError` when the path is none or names no app, `LineshaftError` when the module breaks.
    """
    module_name, colon, name = path.partition(":")
    if not (colon and name and module_name):
        msg = f"{path!r} does not name an app; write module:name, such as work:app for `app` in work.py"
        raise click.UsageError(msg)
    _make_importable(Path.cwd())
    return _app_in(_import(module_name), name, path)


def _make_importable(folder: Path) -> None:
    # `python -m` puts the folder there itself; the installed program has its own one instead.
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            msg = f"there is no module {error.name!r} in {Path.cwd()} or among the installed ones; check --app {name}:…"
            raise click.UsageError(msg) from error
        raise _broken(name, error) from error
    except (Exception, SystemExit) as error:
        raise _broken(name, error) from error


def _broken(name: str, error: BaseException) -> LineshaftError:
    kind = ConfigError if isinstance(error, ConfigError) else LineshaftError
    text = " ".join(str(error).split())
    return kind(f"the app's module {name!r} cannot be imported: {type(error).__name__}: {text}; --debug shows where")


def _app_in(module: Any, name: str, path: str) -> Lineshaft:
    from lineshaft import Lineshaft

    found = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if isinstance(found, Lineshaft):
        return found
    apps = [f"{module.__name__}:{key}" for key, value in vars(module).items() if isinstance(value, Lineshaft)]
    what = "does not exist" if found is None else f"is a {type(found).__name__}, not a Lineshaft app"
    advice = f"give --app {apps[0]}" if apps else f"module {module.__name__!r} holds no Lineshaft app"
    raise click.UsageError(f"{path} {what}; {advice}")


def _of_project() -> str | None:
    """Return `[tool.lineshaft] app` of the nearest pyproject.toml that has it, and make its folder importable."""
    for folder in (Path.cwd(), *Path.cwd().parents):
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
        raise ConfigError(f"{file} is not TOML: {error}; mend it, or name the app with --app module:name") from error
    tool = project.get("tool")
    section = tool.get("lineshaft", {}) if isinstance(tool, dict) else {}
    app = section.get("app") if isinstance(section, dict) else None
    if app is not None and not isinstance(app, str):
        raise ConfigError(f'[tool.lineshaft] app={app!r} in {file} must be a text such as "work:app"')
    return app
