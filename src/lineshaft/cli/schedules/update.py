"""`lineshaft schedules update` and `reset`."""

from __future__ import annotations

from typing import Any

import click

from lineshaft.cli.completion import complete_schedules
from lineshaft.cli.schedules.options import job_of, rule_of, schedule_options, ticks_of
from lineshaft.cli.schedules.telling import tell
from lineshaft.cli.session import Session, pass_session, shared_options


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
    tell(session, schedules.update(name, **changes))


@click.command("reset")
@click.argument("name", metavar="NAME", shell_complete=complete_schedules)
@click.argument("fields", metavar="[FIELD]...", nargs=-1)
@shared_options("app", "store", "json", "debug")
@pass_session
def reset(session: Session, name: str, fields: tuple[str, ...]) -> None:
    """Have what the code says count again: for these fields, or for all that were changed.

    Example: lineshaft schedules reset nightly rule
    """
    tell(session, session.store().schedules.reset(name, *fields))
