"""`lineshaft jobs enqueue`."""

from __future__ import annotations

from typing import Any

import click

from lineshaft.cli.completion import complete_queues, complete_tasks
from lineshaft.cli.jobs.new import new_job
from lineshaft.cli.jobs.result import check_wait, print_enqueued, wait_options
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.cli.values import duration, duration_or_moment, json_object, json_value, moment


@click.command("enqueue")
@click.argument("task", metavar="TASK", shell_complete=complete_tasks)
@click.option(
    "--args",
    "payload",
    type=json_value,
    metavar="JSON",
    help="An array is the positional arguments, an object the keyword ones, anything else one argument.",
)
@click.option("--queue", metavar="NAME", help="The queue; else the task's.", shell_complete=complete_queues)
@click.option("--priority", metavar="PRIORITY", help="-100 to 100, or critical, high, normal, low, background.")
@click.option("--delay", type=duration, metavar="DURATION", help="Run it no sooner than in 10m, say.")
@click.option("--run-at", type=moment, metavar="TIME", help="Run it no sooner than at this time.")
@click.option(
    "--deadline", type=duration_or_moment, metavar="TIME", help="Let it expire unless it has started by then."
)
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag; may be given several times.")
@click.option("--meta", type=json_object, metavar="JSON", help="An object to be noted with the job.")
@click.option("--tenant", metavar="NAME", help="Its owner.")
@wait_options
@shared_options("app", "store", "json", "debug")
@pass_session
def enqueue(
    session: Session, /, task: str, payload: Any, timeout: str | None, *, must_wait: bool, **options: Any
) -> None:
    """Store a job and print its id.

    Where an app is named, TASK must be one of its tasks and the arguments fit it; without one, any name is taken.
    With --wait the exit code is 1 when the job fails.

    Example: lineshaft jobs enqueue shop.render --args '[7]' --queue pdf --wait
    """
    check_wait(timeout, must_wait=must_wait)
    if options["delay"] and options["run_at"]:
        raise click.UsageError("--delay and --run-at say the same thing; give one of them", click.get_current_context())
    job = session.app_or_store().enqueue_new(new_job(session, task, payload, options))
    print_enqueued(session, job, timeout, must_wait=must_wait)
