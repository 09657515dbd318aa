"""`lineshaft workers`."""

from __future__ import annotations

import click

from lineshaft.cli.root import LazyGroup
from lineshaft.cli.session import SHARED, shared_options

COMMANDS = {
    "list": ("lineshaft.cli.workers.listing:list_workers", "List the workers of the store."),
    "drain": ("lineshaft.cli.workers.drain:drain", "Have workers finish what they run and end."),
}


@click.group(cls=LazyGroup, commands_at=COMMANDS)
@shared_options(*SHARED)
def workers() -> None:
    """List and drain the workers of the store."""
