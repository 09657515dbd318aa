"""`lineshaft schedules pause`, `resume` and `delete`: by names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from lineshaft.cli.caller import caller
from lineshaft.cli.completion import complete_schedules
from lineshaft.cli.output import count_of, print_json, print_text
from lineshaft.cli.questions import confirm
from lineshaft.cli.schedules.form import schedule_object
from lineshaft.cli.schedules.times import coming
from lineshaft.cli.schemas import SchedulesDeleted
from lineshaft.cli.session import Session, pass_session, shared_options


def _acting(name: str) -> Callable[[Callable[..., Any]], click.Command]:
    def make(act: Callable[..., Any]) -> click.Command:
        names = click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=complete_schedules)
        return click.command(name)(names(shared_options("app", "store", "json", "debug")(pass_session(act))))

    return make


@click.option("--reason", metavar="TEXT", help="Why: shown with the schedule.")
@_acting("pause")
def pause(session: Session, names: tuple[str, ...], reason: str | None) -> None:
    """Have schedules tick no more; ticks that pass meanwhile are not caught up.

    Example: lineshaft schedules pause nightly-report --reason "the printer is away"
    """
    _each(session, names, lambda name: session.store().schedules.pause(name, by=caller(), reason=reason))


@_acting("resume")
def resume(session: Session, names: tuple[str, ...]) -> None:
    """Have paused schedules tick again, from now on.

    Example: lineshaft schedules resume nightly-report
    """
    _each(session, names, session.store().schedules.resume)


@click.option("--force", is_flag=True, help="Also those that code declares: they come back with its next worker.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@_acting("delete")
def delete(session: Session, names: tuple[str, ...], *, force: bool, yes: bool) -> None:
    """Delete schedules with their history; their jobs stay.

    One that code declares would come back with its app's next worker: pause it, or take it out of the code.

    Example: lineshaft schedules delete trial --yes
    """
    schedules = session.store().schedules
    for name in names:
        schedules.get(name)
    what = f"schedule {names[0]}" if len(names) == 1 else count_of(len(names), "schedule")
    confirm(
        f"Delete {what} with its history?" if len(names) == 1 else f"Delete {what} with their history?", is_sure=yes
    )
    for name in names:
        schedules.delete(name, force=force)
    if session.is_json:
        print_json(SchedulesDeleted(deleted=list(names)))
    else:
        print_text(f"deleted {what}")


def _each(session: Session, names: tuple[str, ...], act: Callable[[str], object]) -> None:
    """Act on schedules that are all there, and say how they stand then."""
    schedules = session.store().schedules
    for name in names:
        schedules.get(name)
    for name in names:
        act(name)
    found = [schedules.get(name) for name in names]
    if session.is_json:
        print_json([schedule_object(one) for one in found])
        return
    for one in found:
        print_text(f"schedule {one.name} {coming(one)}")
