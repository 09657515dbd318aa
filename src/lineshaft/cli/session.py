"""What a command is given: the app or the store that it acts on, and how to show what it found.

`--app --store --json --debug` may stand before or after a command's name; the one after it wins.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from lineshaft.app.finding import find_app_path, import_app
from lineshaft.config import parse_store
from lineshaft.errors import LineshaftError

if TYPE_CHECKING:
    from lineshaft import Lineshaft

F = TypeVar("F", bound=Callable[..., Any])

_NO_APP: Final = (
    "this command needs an app, and none was named; give --app module:name, set LINESHAFT_APP, "
    'or write app = "module:name" under [tool.lineshaft] in pyproject.toml'
)

SHARED: Final[dict[str, dict[str, Any]]] = {
    "app": {"metavar": "MODULE:NAME", "help": "The app; else $LINESHAFT_APP, else [tool.lineshaft] in pyproject.toml."},
    "store": {
        "metavar": "ADDRESS",
        "help": "The store; else the app's, else $LINESHAFT_STORE, else lineshaft.db here.",
    },
    "json": {"is_flag": True, "help": "Print JSON."},
    "debug": {"is_flag": True, "help": "Show the traceback of an error."},
}


class Session:
    """One run of a command."""

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}
        """The shared options that were given."""
        self._app: Lineshaft | None = None

    @property
    def is_json(self) -> bool:
        """Whether JSON is wanted."""
        return "json" in self.given

    @property
    def is_debug(self) -> bool:
        """Whether tracebacks are wanted."""
        return "debug" in self.given

    @property
    def store_address(self) -> str | None:
        """The store that was named with `--store`."""
        return self.given.get("store")

    @property
    def app_path(self) -> str | None:
        """How the app is found, `module:name`, or None when nothing names one."""
        return find_app_path(self.given.get("app"), Path.cwd())

    def app(self) -> Lineshaft:
        """Return the app, on the store that `--store` names, if it names one; its `imports` are not loaded yet.

        Raises `click.UsageError` when no app is named, `ConfigError` when there is none of this name, `LineshaftError`
        when its module breaks.
        """
        if self._app is None:
            path = self.app_path
            if path is None:
                raise click.UsageError(_NO_APP)
            self._app = import_app(path, Path.cwd())
            if self.store_address is not None:
                self._app.use_store(self.store_address)
        return self._app

    def app_or_store(self) -> Lineshaft:
        """Return the app where one is named, else an app without tasks on the store."""
        return self.app() if self.app_path is not None else self._bare()

    def store(self, *, may_create: bool = False) -> Lineshaft:
        """Return an app for a command that only needs the store; with `--store`, the user's code is not imported.

        `may_create` is for commands that make something: the others refuse the default file where there is none,
        since a listing in the wrong folder should not leave an empty store there.
        """
        app = self._bare() if self.store_address is not None else self.app_or_store()
        if not may_create:
            self._refuse_missing(app)
        return app

    def close(self) -> None:
        """Close the app's connections."""
        if self._app is not None:
            self._app.close()

    def _bare(self) -> Lineshaft:
        from lineshaft import Lineshaft

        self._app = self._app or Lineshaft(self.store_address)
        return self._app

    def _refuse_missing(self, app: Lineshaft) -> None:
        from lineshaft.config import DEFAULT_STORE

        path = parse_store(DEFAULT_STORE).path
        if app.settings.store == DEFAULT_STORE and path and not Path(path).exists():
            msg = f"there is no store {path} in {Path.cwd()}; name yours with --store, $LINESHAFT_STORE or --app"
            raise LineshaftError(msg)


pass_session = click.make_pass_decorator(Session)


def shared_options(*names: str) -> Callable[[F], F]:
    """Give a command those of the options `app`, `store`, `json` and `debug` that mean something to it."""

    def add(command: F) -> F:
        for name in reversed(names):
            option = click.option(f"--{name}", name, expose_value=False, callback=_keep, default=None, **SHARED[name])
            command = option(command)
        return command

    return add


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value and parameter.name:
        context.ensure_object(Session).given[parameter.name] = value
