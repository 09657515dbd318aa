"""`lineshaft schedules run`."""

from __future__ import annotations

import click

from lineshaft.cli.completion import complete_schedules
from lineshaft.cli.jobs.result import check_wait, print_enqueued, wait_options
from lineshaft.cli.session import Session, pass_session, shared_options


@click.command("run")
@click.argument("name", metavar="NAME", shell_complete=complete_schedules)
@wait_options
@shared_options("app", "store", "json", "debug")
@pass_session
def run(session: Session, name: str, timeout: str | None, *, must_wait: bool) -> None:
    """Enqueue a schedule's job now, beside its ticks, and print the job's id.

    With --wait the exit code is 1 when the job fails.

    Example: lineshaft schedules run nightly-report --wait
    """
    check_wait(timeout, must_wait=must_wait)
    job = session.store().schedules.run(name)
    print_enqueued(session, job, timeout, must_wait=must_wait)
