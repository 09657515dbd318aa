"""`lineshaft jobs list`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from lineshaft.cli.jobs.filters import chosen, filter_options
from lineshaft.cli.jobs.form import job_object
from lineshaft.cli.output import ago, print_hint, print_json_lines
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.cli.table import Column, print_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lineshaft import Job

_COLUMNS: Final = (
    Column("id"),
    Column("state"),
    Column("task", may_be_cut=True),
    Column("queue", may_be_cut=True, is_extra=True),
    Column("attempt", is_number=True, is_extra=True),
    Column("created", is_number=True),
)
_LONGEST_PAGE: Final = 1_000


@click.command("list")
@filter_options
@click.option("--limit", type=click.IntRange(1, _LONGEST_PAGE), default=50, show_default=True, help="Jobs a page.")
@click.option("--cursor", metavar="ID", help="Start after this job: the last one of the page before.")
@click.option("--all", "everything", is_flag=True, help="Every job, however many.")
@shared_options("app", "store", "json", "debug")
@pass_session
def list_jobs(session: Session, /, limit: int, cursor: str | None, *, everything: bool, **options: Any) -> None:
    """List jobs, the newest first.

    Example: lineshaft jobs list --state dead --queue pdf --since 1h
    """
    if everything and cursor:
        raise click.UsageError("--all lists every job from the first; leave out --cursor", click.get_current_context())
    jobs = session.store().jobs
    if everything:
        _print(session, jobs.iter(**chosen(options)))
        return
    page = jobs.list(limit=limit, cursor=cursor, **chosen(options))
    _print(session, page)
    if page.next is not None:
        print_hint(f"more: add --cursor {page.next}, or --all")


def _print(session: Session, jobs: Iterable[Job[Any]]) -> None:
    if session.is_json:
        print_json_lines(map(job_object, jobs))
    else:
        print_table(_COLUMNS, map(_row, jobs), empty="no jobs")


def _row(job: Job[Any]) -> tuple[Any, ...]:
    return job.id, job.state.value, job.name, job.queue, f"{job.attempt}/{job.max_attempts}", ago(job.created_at)
