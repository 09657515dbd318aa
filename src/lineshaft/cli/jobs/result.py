"""Waiting for a job and printing its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from lineshaft.cli.jobs.form import stored_result, whole_job
from lineshaft.cli.output import print_json, print_text
from lineshaft.errors import ResultGone

if TYPE_CHECKING:
    from lineshaft import Job
    from lineshaft.cli.session import Session


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
