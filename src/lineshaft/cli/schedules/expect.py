"""`lineshaft schedules expect`."""

from __future__ import annotations

from typing import Any

import click

from lineshaft.cli.completion import complete_tasks
from lineshaft.cli.output import print_json, print_text
from lineshaft.cli.schedules.form import schedule_object
from lineshaft.cli.schedules.options import rule_of, rule_options
from lineshaft.cli.session import Session, pass_session, shared_options


@click.command("expect")
@click.argument("name", metavar="NAME")
@click.argument("task", metavar="TASK", shell_complete=complete_tasks)
@rule_options
@shared_options("app", "store", "json", "debug")
@pass_session
def expect(session: Session, /, name: str, task: str, **options: Any) -> None:
    """Expect that by each tick a job of TASK has completed since the tick before, however its jobs are enqueued.

    As long as none has, the schedule NAME is overdue, and 'lineshaft doctor' says so.

    Example: lineshaft schedules expect backup-runs shop.backup --cron '0 6 * * *' --timezone Europe/Berlin
    """
    schedule = session.store().schedules.expect(name, task, **rule_of(options))
    if session.is_json:
        print_json(schedule_object(schedule))
    else:
        print_text(f"schedule {name} expects a job of {task} {schedule.in_words}")
