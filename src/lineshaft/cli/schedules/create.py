"""`lineshaft schedules create`."""

from __future__ import annotations

from typing import Any

import click

from lineshaft.cli.completion import complete_tasks
from lineshaft.cli.jobs.new import new_job
from lineshaft.cli.schedules.options import args_option, rule_of, schedule_options, ticks_of
from lineshaft.cli.schedules.telling import tell
from lineshaft.cli.session import Session, pass_session, shared_options


@click.command("create")
@click.argument("name", metavar="NAME")
@click.argument("task", metavar="TASK", shell_complete=complete_tasks)
@args_option
@schedule_options
@shared_options("app", "store", "json", "debug")
@pass_session
def create(session: Session, /, name: str, task: str, payload: Any, **options: Any) -> None:
    """Create a schedule that enqueues a job of TASK at each of its ticks.

    Say when with --cron, --every, --at or --days. Where an app is named, TASK must be one of its tasks and the
    arguments fit it; without one, any name is taken.

    Example: lineshaft schedules create nightly shop.report --cron '30 2 * * *' --timezone Europe/Berlin
    """
    rule = rule_of(options)
    job = new_job(session, task, payload, options)
    tell(session, session.app_or_store().schedules.create(name, job, **rule, **ticks_of(options)))
