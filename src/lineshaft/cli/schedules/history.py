"""`lineshaft schedules history`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from lineshaft.cli.completion import complete_schedules
from lineshaft.cli.output import print_json
from lineshaft.cli.schedules.form import tick_object
from lineshaft.cli.schedules.times import short
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.cli.table import Column, print_table

if TYPE_CHECKING:
    from lineshaft.app.schedules import Tick

_MOST: Final = 1_000
_COLUMNS: Final = (Column("tick"), Column("state"), Column("its job, or why there is none", may_be_cut=True, keeps=36))


@click.command("history")
@click.argument("name", metavar="NAME", shell_complete=complete_schedules)
@click.option(
    "--limit", type=click.IntRange(1, _MOST), default=20, show_default=True, metavar="N", help="How many ticks."
)
@shared_options("app", "store", "json", "debug")
@pass_session
def history(session: Session, name: str, limit: int) -> None:
    """Show what became of a schedule's ticks, the latest first.

    Example: lineshaft schedules history nightly-report --limit 5
    """
    schedules = session.store().schedules
    schedule, ticks = schedules.get(name), schedules.history(name, limit=limit)
    if session.is_json:
        print_json([tick_object(one) for one in ticks])
    else:
        print_ticks(ticks, schedule.timezone)


def print_ticks(ticks: Sequence[Tick], zone: str) -> None:
    """Print ticks in a zone, each with its job and what became of it, or why it has none."""
    rows = [(short(one.at, zone, with_seconds=True), one.state, _job(one)) for one in ticks]
    print_table(_COLUMNS, rows, empty="no ticks so far")


def _job(tick: Tick) -> str:
    job = "" if tick.job_id is None else f"{tick.job_id} {tick.job_state or '(not kept)'}"
    asked = "" if not tick.run else "by hand" if tick.run == "manual" else f"backfill {tick.run}"
    waits = "its turn comes when the job before it has ended" if tick.state == "waiting" else ""
    return ", ".join(filter(None, [job, asked, tick.note or waits]))
