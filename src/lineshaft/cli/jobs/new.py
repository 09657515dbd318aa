"""A job that is not stored yet, out of what a command line says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lineshaft.cli.values import call_of
from lineshaft.newjob import NewJob
from lineshaft.options import Options
from lineshaft.payload import dump_plain

if TYPE_CHECKING:
    from lineshaft import Lineshaft
    from lineshaft.cli.session import Session

_OPTIONS: Final = ("queue", "priority", "delay", "run_at", "deadline", "tags", "meta", "tenant")


def new_job(session: Session, name: str, payload: Any, options: dict[str, Any]) -> NewJob[Any]:
    """Return a job of a task with the arguments that `--args` means and the options that were given.

    Where an app is named the task must be one of its tasks and the arguments fit it; without one any name is taken.
    """
    app = session.app_or_store()
    given = _given(options)
    args, kwargs = call_of(payload)
    if session.app_path is None:
        return NewJob(name, _plain(app, name, args, kwargs), Options().but(**given), {})
    app.load_imports()
    task = app.find(name)
    positional, keyword = task.signature.rebuild(args, kwargs)
    return task.options(**given).new(*positional, **keyword)


def _plain(app: Lineshaft, name: str, args: list[Any], kwargs: dict[str, Any]) -> str:
    return dump_plain(name, args, kwargs, limit=app.payload_limit)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    given = {name: options[name] for name in _OPTIONS if options.get(name)}
    if "priority" in given:
        given["priority"] = priority(given["priority"])
    return given


def priority(text: str) -> int | str:
    """Return a priority's number, or its word."""
    try:
        return int(text)
    except ValueError:
        return text
