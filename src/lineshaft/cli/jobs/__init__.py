"""`lineshaft jobs`: look at jobs and act on them, one file a kind of command."""

from __future__ import annotations

import click

from lineshaft.cli.root import LazyGroup
from lineshaft.cli.session import SHARED, shared_options

COMMANDS = {
    "list": ("lineshaft.cli.jobs.listing:list_jobs", "List jobs, the newest first."),
    "show": ("lineshaft.cli.jobs.show:show", "Show everything about a job."),
    "why": ("lineshaft.cli.jobs.why:why", "Tell what holds a job."),
    "logs": ("lineshaft.cli.jobs.show:logs", "Show what a job logged."),
    "enqueue": ("lineshaft.cli.jobs.enqueue:enqueue", "Store a job."),
    "cancel": ("lineshaft.cli.jobs.acting:cancel", "Cancel jobs; running ones are asked to stop."),
    "retry": ("lineshaft.cli.jobs.acting:retry", "Have dead, cancelled or expired jobs tried again."),
    "delete": ("lineshaft.cli.jobs.acting:delete", "Delete jobs that are not running."),
}


@click.group(cls=LazyGroup, commands_at=COMMANDS)
@shared_options(*SHARED)
def jobs() -> None:
    """List, show, explain, enqueue, cancel, retry and delete jobs."""
