"""`lineshaft limits`."""

from __future__ import annotations

import click

from lineshaft.cli.root import LazyGroup
from lineshaft.cli.session import SHARED, shared_options

COMMANDS = {
    "list": ("lineshaft.cli.limits.listing:list_limits", "List limits: what rules them, and how busy they are."),
    "show": ("lineshaft.cli.limits.listing:show", "Show a limit and its busiest keys."),
    "update": ("lineshaft.cli.limits.changing:update", "Change a limit, over what the code declares."),
    "reset": ("lineshaft.cli.limits.changing:reset", "Have a limit be as the code says again."),
}


@click.group("limits", cls=LazyGroup, commands_at=COMMANDS)
@shared_options(*SHARED)
def limits() -> None:
    """List and change concurrency limits, rates and orders while workers run."""
