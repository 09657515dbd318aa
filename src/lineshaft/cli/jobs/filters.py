"""The options that say which jobs are meant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeVar

import click

from lineshaft.clock import to_instant, to_micros
from lineshaft.errors import ConfigError
from lineshaft.transitions import State

F = TypeVar("F", bound=Callable[..., Any])


class Moment(click.ParamType[Any]):
    """A duration back from now (`1h`) or an ISO 8601 time with its zone."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the duration's text, or the aware time."""
        if isinstance(value, datetime):
            return value
        try:
            return self._parse(value)
        except ConfigError:
            self.fail(f"{value!r} carries no time zone; add Z for UTC, or an offset such as +01:00", param, ctx)
        except ValueError:
            self.fail(f"{value!r} is neither a duration such as 90m or 2h30m nor an ISO 8601 time", param, ctx)

    def _parse(self, value: str) -> Any:
        try:
            to_micros(value)
        except ConfigError:
            when = datetime.fromisoformat(value)
            to_instant(when)
            return when
        return value


class DurationText(click.ParamType[str]):
    """A duration such as `90s` or `2h30m`; a bare number is seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the duration's text."""
        text = f"{value}s" if str(value).replace(".", "", 1).isdigit() else str(value)
        try:
            to_micros(text)
        except ConfigError:
            self.fail(f"{value!r} is not a duration such as 90s or 2h30m", param, ctx)
        return text


_OPTIONS: Final = (
    click.option("--state", multiple=True, type=click.Choice([state.value for state in State]), metavar="STATE",
                 help="Jobs in this state; may be given several times."),
    click.option("--queue", metavar="NAME", help="Jobs of this queue."),
    click.option("--name", metavar="TASK", help="Jobs of this task."),
    click.option("--tag", metavar="TAG", help="Jobs with this tag."),
    click.option("--tenant", metavar="NAME", help="Jobs of this owner."),
    click.option("--since", type=Moment(), metavar="TIME", help="Jobs enqueued since: 1h, or 2026-11-22T08:00Z."),
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
