"""`lineshaft schedules backfill`, `backfills` and `cancel-backfill`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from lineshaft.cli.completion import complete_schedules
from lineshaft.cli.output import ago, count_of, print_hint, print_json, print_text
from lineshaft.cli.schedules.options import moment_in
from lineshaft.cli.schedules.times import short
from lineshaft.cli.schemas import BackfillForm
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.cli.table import Column, print_table
from lineshaft.recurrence.zones import zone_of

if TYPE_CHECKING:
    from lineshaft.app.schedules import Backfill

_MOST: Final = 1_000
_MOST_AT_ONCE: Final = 10_000
_COLUMNS: Final = (
    Column("id"),
    Column("state"),
    Column("enqueued", is_number=True),
    Column("unfinished", is_number=True),
    Column("up to", is_extra=True),
    Column("since", is_extra=True),
    Column("until", is_extra=True),
    Column("at most", is_number=True, is_extra=True),
    Column("begun", is_number=True, is_extra=True),
)


@click.command("backfill")
@click.argument("name", metavar="NAME", shell_complete=complete_schedules)
@click.option("--since", required=True, metavar="TIME", help="The first time whose ticks are enqueued.")
@click.option("--until", metavar="TIME", help="The first time whose ticks are not; now if not said.")
@click.option(
    "--at-most", type=click.IntRange(1, _MOST_AT_ONCE), default=1, show_default=True, metavar="N",
    help="How many of its jobs are unfinished at once.",
)  # fmt: skip
@click.option("--only-missing", is_flag=True, help="Leave out ticks that have a job already.")
@shared_options("app", "store", "json", "debug")
@pass_session
def backfill(session: Session, name: str, since: str, until: str | None, at_most: int, *, only_missing: bool) -> None:
    """Enqueue the jobs of a schedule's ticks of a past range, in order and a few at once.

    The leader does it, so that a worker has to run. Times without a zone are those of the schedule's zone.

    Example: lineshaft schedules backfill nightly --since 2026-11-01 --until 2026-11-08 --at-most 2
    """
    schedules = session.store().schedules
    clocks = zone_of(schedules.get(name).timezone)
    begin = moment_in("--since", since, clocks)
    end = None if until is None else moment_in("--until", until, clocks)
    made = schedules.backfill(name, begin, end, at_most=at_most, only_missing=only_missing)
    if session.is_json:
        print_json(_object(made))
        return
    print_text(f"backfill {made.id} of schedule {name} begun")
    if not session.store().workers.list():
        print_hint("no worker runs: it goes on when one does")


@click.command("backfills")
@click.argument("name", metavar="NAME", shell_complete=complete_schedules)
@click.option(
    "--limit", type=click.IntRange(1, _MOST), default=20, show_default=True, metavar="N", help="How many of them."
)
@shared_options("app", "store", "json", "debug")
@pass_session
def backfills(session: Session, name: str, limit: int) -> None:
    """List a schedule's backfills, the latest first, and how far they are.

    Example: lineshaft schedules backfills nightly
    """
    schedules = session.store().schedules
    zone, found = schedules.get(name).timezone, schedules.backfills(name, limit=limit)
    if session.is_json:
        print_json([_object(one) for one in found])
    else:
        print_table(_COLUMNS, [_row(one, zone) for one in found], empty="no backfills")


@click.command("cancel-backfill")
@click.argument("backfill", metavar="ID")
@shared_options("app", "store", "json", "debug")
@pass_session
def cancel_backfill(session: Session, backfill: str) -> None:
    """Have a backfill enqueue no more; its jobs that are stored go on.

    Example: lineshaft schedules cancel-backfill 019a9f6e-7e22-7c1c-b6a4-ce9e9b3f3f6a
    """
    found = session.store().schedules.cancel_backfill(backfill)
    if session.is_json:
        print_json(_object(found))
        return
    print_text(f"backfill {found.id} of schedule {found.schedule} is {found.state}")
    if found.unfinished:
        print_hint(f"{count_of(found.unfinished, 'job')} that it has enqueued may still run; 'jobs cancel' ends them")


def _object(one: Backfill) -> BackfillForm:
    return {
        "id": one.id,
        "schedule": one.schedule,
        "since": one.since,
        "until": one.until,
        "at_most": one.at_most,
        "only_missing": one.only_missing,
        "state": one.state,
        "next_at": one.next_at,
        "enqueued": one.enqueued,
        "unfinished": one.unfinished,
        "created_at": one.created_at,
        "ended_at": one.ended_at,
    }


def _row(one: Backfill, zone: str) -> tuple[Any, ...]:
    up_to = one.until if one.next_at is None else one.next_at
    times = (short(at, zone) for at in (up_to, one.since, one.until))
    return (one.id, one.state, one.enqueued, one.unfinished, *times, one.at_most, ago(one.created_at))
