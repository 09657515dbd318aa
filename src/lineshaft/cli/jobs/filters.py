"""The options that say which jobs are meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from lineshaft.cli.completion import complete_queues, complete_tasks
from lineshaft.cli.values import duration_or_moment
from lineshaft.transitions import State

F = TypeVar("F", bound=Callable[..., Any])


_OPTIONS: Final = (
    click.option(
        "--state",
        multiple=True,
        type=click.Choice([state.value for state in State]),
        metavar="STATE",
        help="Jobs in this state; may be given several times.",
    ),
    click.option("--queue", metavar="NAME", help="Jobs of this queue.", shell_complete=complete_queues),
    click.option("--name", metavar="TASK", help="Jobs of this task.", shell_complete=complete_tasks),
    click.option("--tag", metavar="TAG", help="Jobs with this tag."),
    click.option("--tenant", metavar="NAME", help="Jobs of this owner."),
    click.option(
        "--since", type=duration_or_moment, metavar="TIME", help="Jobs enqueued since: 1h, or 2026-11-22T08:00Z."
    ),
    click.option("--search", metavar="TEXT", help="Jobs with this text in name, arguments or errors."),
)
NAMES: Final = ("state", "queue", "name", "tag", "tenant", "since", "search")


def filter_options(command: F) -> F:
    """Give a command the filters of jobs; `chosen` takes them out of its options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def chosen(options: dict[str, Any]) -> dict[str, Any]:
    """Return the filters that were given, as `app.jobs` takes them."""
    return {name: _plain(options[name]) for name in NAMES if options[name]}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
