"""`lineshaft tasks`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from lineshaft.cli.output import print_json
from lineshaft.cli.schemas import TaskForm
from lineshaft.cli.session import SHARED, Session, pass_session, shared_options
from lineshaft.cli.table import Column, print_table
from lineshaft.clock import SECOND, to_text

if TYPE_CHECKING:
    from lineshaft import Task

_COLUMNS: Final = (
    Column("name", may_be_cut=True),
    Column("queue", may_be_cut=True),
    Column("runs in"),
    Column("priority", is_number=True, is_extra=True),
    Column("attempts", is_number=True, is_extra=True),
    Column("timeout", is_number=True),
)


@click.group("tasks")
@shared_options(*SHARED)
def tasks() -> None:
    """List the tasks that the app knows."""


@tasks.command("list")
@shared_options("app", "store", "json", "debug")
@pass_session
def list_tasks(session: Session) -> None:
    """List the tasks that the app, and the modules that its imports= names, define.

    Example: lineshaft --app work:app tasks list
    """
    app = session.app()
    app.load_imports()
    found = sorted(app, key=lambda task: task.name)
    if session.is_json:
        print_json([_object(one) for one in found])
    else:
        print_table(_COLUMNS, map(_row, found), empty=f"the app {session.app_path} has no tasks")


def _object(task: Task[Any, Any, Any]) -> TaskForm:
    options = task.defaults
    return {
        "name": task.name,
        "queue": options.queue,
        "runs_in": task.lane,
        "priority": options.priority,
        "max_attempts": options.retry.max_attempts,
        "timeout": None if options.timeout is None else options.timeout / SECOND,
        "parameters": list(task.signature.names),
    }


def _row(task: Task[Any, Any, Any]) -> tuple[Any, ...]:
    options = task.defaults
    timeout = None if options.timeout is None else to_text(options.timeout)
    return task.name, options.queue, task.lane, options.priority, options.retry.max_attempts, timeout
