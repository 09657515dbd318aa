"""`lineshaft schedules list`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from lineshaft.cli.output import ago, count_of, print_hint, print_json
from lineshaft.cli.schedules.form import schedule_object
from lineshaft.cli.schedules.times import is_past, short
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.cli.table import Column, print_table

if TYPE_CHECKING:
    from lineshaft.app.schedules import Schedule

STATES: Final = ("active", "paused", "waiting", "ended", "removed", "overdue")
_COLUMNS: Final = (
    Column("name", may_be_cut=True, keeps=24),
    Column("state"),
    Column("next", is_number=True),
    Column("at", is_extra=True),
    Column("last", is_number=True, is_extra=True),
    Column("when", may_be_cut=True),
    Column("source", is_extra=True),
)


@click.command("list")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(STATES),
    metavar="STATE",
    help=f"Schedules in this state: {', '.join(STATES)}; may be given several times.",
)
@click.option("--system", "with_system", is_flag=True, help="Also the store's own housekeeping.")
@shared_options("app", "store", "json", "debug")
@pass_session
def list_schedules(session: Session, states: tuple[str, ...], *, with_system: bool) -> None:
    """List schedules by name: when they tick next and last, and in words.

    Those that the code declares are here once a worker of the app has started. A state with * has been changed at run
    time.

    Example: lineshaft schedules list --state paused --state overdue
    """  # fmt: skip
    found = [one for one in session.store().schedules.list() if _is_wanted(one, states, with_system=with_system)]
    if session.is_json:
        print_json([schedule_object(one) for one in found])
        return
    print_table(_COLUMNS, map(_row, found), empty="no schedules")
    _hint(found)


def _is_wanted(schedule: Schedule, states: Sequence[str], *, with_system: bool) -> bool:
    if schedule.source == "system" and not with_system:
        return False
    return not states or schedule.state in states or ("overdue" in states and schedule.overdue_at is not None)


def _row(schedule: Schedule) -> tuple[Any, ...]:
    state = "overdue" if schedule.overdue_at is not None and schedule.state != "paused" else schedule.state
    return (
        schedule.name,
        state + "*" * bool(schedule.overridden),
        ago(schedule.next_at),
        short(schedule.next_at, schedule.timezone),
        ago(schedule.last_at),
        schedule.in_words,
        schedule.source,
    )


def _hint(found: Sequence[Schedule]) -> None:
    """Say what a glance at the table does not."""
    if any(one.overridden for one in found):
        print_hint("* changed at run time: 'lineshaft schedules show NAME' has what the code says")
    late = [one for one in found if one.state == "active" and is_past(one.next_at)]
    if late:
        what = "is past its time" if len(late) == 1 else "are past their time"
        print_hint(
            f"{count_of(len(late), 'schedule')} {what}: they tick while a worker runs; see 'lineshaft workers list'"
        )
