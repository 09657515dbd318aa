"""`lineshaft schedules`: look at schedules and change them, one file a kind of command."""

from __future__ import annotations

import click

from lineshaft.cli.root import LazyGroup
from lineshaft.cli.session import SHARED, shared_options

COMMANDS = {
    "list": ("lineshaft.cli.schedules.listing:list_schedules", "List schedules: when they tick, and in words."),
    "show": ("lineshaft.cli.schedules.show:show", "Show everything about a schedule."),
    "next": ("lineshaft.cli.schedules.ahead:next_times", "Show when a schedule ticks next."),
    "history": ("lineshaft.cli.schedules.history:history", "Show what became of its last ticks."),
    "check": ("lineshaft.cli.schedules.check:check", "Explain a rule in words; needs no store."),
    "run": ("lineshaft.cli.schedules.run:run", "Enqueue a schedule's job now."),
    "backfill": ("lineshaft.cli.schedules.backfill:backfill", "Enqueue the ticks of a past range."),
    "backfills": ("lineshaft.cli.schedules.backfill:backfills", "List the backfills of a schedule."),
    "cancel-backfill": ("lineshaft.cli.schedules.backfill:cancel_backfill", "Have a backfill enqueue no more."),
    "pause": ("lineshaft.cli.schedules.acting:pause", "Have schedules tick no more."),
    "resume": ("lineshaft.cli.schedules.acting:resume", "Have paused schedules tick again."),
    "create": ("lineshaft.cli.schedules.create:create", "Create a schedule."),
    "expect": ("lineshaft.cli.schedules.expect:expect", "Expect that a task's jobs complete in time."),
    "update": ("lineshaft.cli.schedules.update:update", "Change a schedule, over what the code declares."),
    "reset": ("lineshaft.cli.schedules.update:reset", "Take back what was changed at run time."),
    "delete": ("lineshaft.cli.schedules.acting:delete", "Delete schedules that were created at run time."),
}


@click.group("schedules", cls=LazyGroup, commands_at=COMMANDS)
@shared_options(*SHARED)
def schedules() -> None:
    """List, explain, run, pause, create and change schedules."""
