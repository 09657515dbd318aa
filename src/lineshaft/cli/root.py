"""The tree of commands. A command's module is imported when the command is named, not before."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final, cast

import click

from lineshaft.cli.session import SHARED, shared_options
from lineshaft.version import VERSION

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_WRONG_USE: Final = 2
_SETTINGS: Final = {"help_option_names": ["-h", "--help"]}

COMMANDS: Final = {
    "worker": ("lineshaft.cli.worker:worker", "Run jobs until told to stop."),
    "demo": ("lineshaft.cli.demo:demo", "Measure Python's standard library with background jobs."),
    "migrate": ("lineshaft.cli.migrate:migrate", "Create or upgrade the store's schema."),
    "jobs": ("lineshaft.cli.jobs:jobs", "List, show, enqueue, cancel, retry and delete jobs."),
    "queues": ("lineshaft.cli.queues:queues", "List, pause, resume, limit and purge queues."),
    "limits": ("lineshaft.cli.limits:limits", "List and change limits while workers run."),
    "breakers": ("lineshaft.cli.breakers:breakers", "List circuit breakers, and open and close them by hand."),
    "schedules": ("lineshaft.cli.schedules:schedules", "List, explain, run, pause, create and change schedules."),
    "workers": ("lineshaft.cli.workers:workers", "List and drain the workers of the store."),
    "tasks": ("lineshaft.cli.tasks:tasks", "List the tasks that the app knows."),
    "top": ("lineshaft.cli.top.command:top", "Watch queues, workers and rates live."),
    "backup": ("lineshaft.cli.backup:backup", "Copy the store into a file while workers run."),
    "restore": ("lineshaft.cli.restore:restore_command", "Put a backup back, with its queues paused."),
    "copy": ("lineshaft.cli.copy:copy", "Move the store to another address, on either engine."),
    "doctor": ("lineshaft.cli.doctor:doctor", "Look the store over: symptoms, causes, cures."),
    "chaos": ("lineshaft.cli.chaos:chaos", "Run workers that are killed and a store that fails."),
    "bench": ("lineshaft.cli.bench:bench", "Measure how fast this store takes and runs jobs."),
    "completion": ("lineshaft.cli.completion:completion", "Print what completes this program's lines in a shell."),
}
"""Where each command stands, and its line of help, which is told without importing it."""


class LazyGroup(click.Group):
    """A group that imports its commands when they are called: a worker never loads what draws tables."""

    def __init__(self, *args: Any, commands_at: dict[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._commands_at = commands_at

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Without a command, show the help: nothing was asked for, so nothing is done."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(_WRONG_USE)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of the commands, in the order in which one meets them."""
        return list(self._commands_at)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Return a command, or None when there is none of this name."""
        if cmd_name not in self._commands_at:
            return None
        module, _, name = self._commands_at[cmd_name][0].partition(":")
        return cast(click.Command, getattr(importlib.import_module(module), name))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Complete the names of commands without importing them, and the options."""
        from click.shell_completion import CompletionItem

        found = self._commands_at.items()
        commands = [CompletionItem(name, help=line) for name, (_, line) in found if name.startswith(incomplete)]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self._commands_at.items()])


@click.group(cls=LazyGroup, commands_at=COMMANDS, context_settings=_SETTINGS)
@click.version_option(VERSION, "-V", "--version", prog_name="lineshaft", message="%(prog)s %(version)s")
@shared_options(*SHARED)
def root() -> None:
    """Background jobs for Python: one SQLite file or PostgreSQL, and nothing else to run."""
