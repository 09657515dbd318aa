"""What a command that enqueues a job ends with: the job's id, or the wait for its result."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from lineshaft.cli.jobs.form import job_object, stored_result, whole_job
from lineshaft.cli.output import print_json, print_text
from lineshaft.cli.values import duration
from lineshaft.errors import ResultGone

if TYPE_CHECKING:
    from lineshaft import Job
    from lineshaft.cli.session import Session

F = TypeVar("F", bound=Callable[..., Any])


def wait_options(command: F) -> F:
    """Give a command `--wait` and `--timeout`, which it takes as `must_wait` and `timeout`."""
    timeout = click.option("--timeout", type=duration, metavar="DURATION", help="With --wait: how long.")
    wait = click.option("--wait", "must_wait", is_flag=True, help="Wait for the job and print its result as JSON.")
    return wait(timeout(command))


def check_wait(timeout: str | None, *, must_wait: bool) -> None:
    """Raise `click.UsageError` for a time-out of no wait."""
    if timeout and not must_wait:
        raise click.UsageError("--timeout says how long to --wait; add it", click.get_current_context())


def print_enqueued(session: Session, job: Job[Any], timeout: str | None, *, must_wait: bool) -> None:
    """Print the id of a job that was stored, with `--json` the job; or wait for it, as `print_result` does."""
    if must_wait:
        print_result(session, job, timeout)
    elif session.is_json:
        print_json(job_object(job))
    else:
        print_text(job.id)


def print_result(session: Session, job: Job[Any], timeout: str | None) -> None:
    """Wait for a job and print its result as JSON, with `--json` the whole job.

    Raises the error of a job that did not complete, `ResultTimeout` when the wait ends before the job does.
    """
    try:
        job.result(timeout)
    except ResultGone:  # it completed, and its task says that nobody needs the result
        job.refresh()
    if session.is_json:
        print_json(whole_job(job))
    else:
        print_text(msgspec.json.encode(stored_result(job)).decode())
