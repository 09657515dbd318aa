"""`lineshaft schedules run`."""

from __future__ import annotations

import click

from lineshaft.cli.completion import complete_schedules
from lineshaft.cli.jobs.form import job_object
from lineshaft.cli.jobs.result import print_result
from lineshaft.cli.output import print_json, print_text
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.cli.values import duration


@click.command("run")
@click.argument("name", metavar="NAME", shell_complete=complete_schedules)
@click.option("--wait", "must_wait", is_flag=True, help="Wait for the job and print its result as JSON.")
@click.option("--timeout", type=duration, metavar="DURATION", help="With --wait: how long.")
@shared_options("app", "store", "json", "debug")
@pass_session
def run(session: Session, name: str, timeout: str | None, *, must_wait: bool) -> None:
    """Enqueue a schedule's job now, beside its ticks, and print the job's id.

    With --wait the exit code is 1 when the job fails.

    Example: lineshaft schedules run nightly-report --wait
    """
    if timeout and not must_wait:
        raise click.UsageError("--timeout says how long to --wait; add it", click.get_current_context())
    job = session.store().schedules.run(name)
    if must_wait:
        print_result(session, job, timeout)
    elif session.is_json:
        print_json(job_object(job))
    else:
        print_text(job.id)
