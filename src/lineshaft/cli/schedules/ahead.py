"""`lineshaft schedules next`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import click

from lineshaft.cli.completion import complete_schedules
from lineshaft.cli.output import is_terminal, iso, print_hint, print_json
from lineshaft.cli.schedules.times import full, how_long
from lineshaft.cli.schemas import NextForm
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.cli.table import Column, print_table

_MOST: Final = 1_000

number_option: Final = click.option(
    "--number", "-n", type=click.IntRange(1, _MOST), default=5, show_default=True, metavar="N", help="How many times."
)


@click.command("next")
@click.argument("name", metavar="NAME", shell_complete=complete_schedules)
@number_option
@shared_options("app", "store", "json", "debug")
@pass_session
def next_times(session: Session, name: str, number: int) -> None:
    """Show when a schedule ticks next, in its own zone.

    Example: lineshaft schedules next nightly-report -n 3
    """
    schedules = session.store().schedules
    schedule, times = schedules.get(name), schedules.next(name, number)
    if session.is_json:
        print_json(NextForm(name=name, timezone=schedule.timezone, next=in_utc(times)))
        return
    print_times(times, schedule.timezone)
    if schedule.state != "active":
        print_hint(f"schedule {name} is {schedule.state}")


def print_times(times: Sequence[datetime], zone: str) -> None:
    """Print times in a zone, on a terminal with how long it is until then, else with the same time in UTC."""
    is_read = is_terminal()
    columns = (Column(zone), Column("from now" if is_read else "UTC", is_number=is_read))
    rows = [(full(one, zone), how_long(one) if is_read else iso(one.astimezone(UTC))) for one in times]
    print_table(columns, rows, empty="it will not tick again")


def in_utc(times: Sequence[datetime]) -> list[datetime]:
    """Return times as JSON has them."""
    return [one.astimezone(UTC) for one in times]
