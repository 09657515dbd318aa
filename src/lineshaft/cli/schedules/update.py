"""`lineshaft schedules update` and `reset`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lineshaft.cli.completion import complete_schedules
from lineshaft.cli.output import print_json, print_text
from lineshaft.cli.schedules.form import schedule_object
from lineshaft.cli.schedules.options import job_of, rule_of, schedule_options, ticks_of
from lineshaft.cli.schedules.times import coming
from lineshaft.cli.session import Session, pass_session, shared_options

if TYPE_CHECKING:
    from lineshaft.app.schedules import Schedule


@click.command("update")
@click.argument("name", metavar="NAME", shell_complete=complete_schedules)
@schedule_options
@click.option("--no-calendar", is_flag=True, help="Know no days off any more.")
@shared_options("app", "store", "json", "debug")
@pass_session
def update(session: Session, /, name: str, *, no_calendar: bool, **options: Any) -> None:
    """Change a schedule; what is not named stays as it is.

    Of one that the code declares, the changes stand over what the code says, also after a deploy, until 'reset'.
    'none' takes away --start, --end, --jitter, --finish-within and --tenant.

    Example: lineshaft schedules update nightly --cron '0 3 * * *' --overlap skip
    """
    schedules = session.store().schedules
    changes = {**rule_of(options, schedules.get(name).timezone), **ticks_of(options), **job_of(options)}
    if no_calendar:
        changes["calendar"] = None
    if not changes:
        raise click.UsageError("say what to change, such as --cron or --overlap", click.get_current_context())
    _tell(session, schedules.update(name, **changes))


@click.command("reset")
@click.argument("name", metavar="NAME", shell_complete=complete_schedules)
@click.argument("fields", metavar="[FIELD]...", nargs=-1)
@shared_options("app", "store", "json", "debug")
@pass_session
def reset(session: Session, name: str, fields: tuple[str, ...]) -> None:
    """Have what the code says count again: for these fields, or for all that were changed.

    Example: lineshaft schedules reset nightly rule
    """
    _tell(session, session.store().schedules.reset(name, *fields))


def _tell(session: Session, schedule: Schedule) -> None:
    if session.is_json:
        print_json(schedule_object(schedule))
    else:
        print_text(f"schedule {schedule.name} {coming(schedule)}: {schedule.in_words}")
