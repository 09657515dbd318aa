"""`lineshaft breakers`."""

from __future__ import annotations

import click

from lineshaft.cli.root import LazyGroup
from lineshaft.cli.session import SHARED, shared_options

COMMANDS = {
    "list": ("lineshaft.cli.breakers.listing:list_breakers", "List circuit breakers: what they do, and since when."),
    "show": ("lineshaft.cli.breakers.listing:show", "Show a circuit breaker and what rules it."),
    "open": ("lineshaft.cli.breakers.acting:open_breakers", "Have breakers let no job through."),
    "close": ("lineshaft.cli.breakers.acting:close", "Have breakers let all jobs through."),
    "reset": ("lineshaft.cli.breakers.acting:reset", "Have breakers decide by themselves again."),
}


@click.group("breakers", cls=LazyGroup, commands_at=COMMANDS)
@shared_options(*SHARED)
def breakers() -> None:
    """List circuit breakers, and open and close them by hand."""
