"""`lineshaft jobs cancel`, `retry` and `delete`: by ids, or all that the filters mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from lineshaft.cli.completion import complete_jobs
from lineshaft.cli.jobs.filters import chosen, filter_options
from lineshaft.cli.jobs.progress import acting
from lineshaft.cli.output import count_of, print_json, print_text
from lineshaft.cli.questions import confirm
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.errors import InvalidTransition, JobNotFound
from lineshaft.transitions import UNFINISHED, State

if TYPE_CHECKING:
    from lineshaft import Lineshaft


class Verb(NamedTuple):
    """What is done to jobs, and to those in which states when nobody says it."""

    name: str
    past: str
    states: frozenset[State]
    is_destructive: bool = False


CANCEL: Final = Verb("cancel", "cancelled", UNFINISHED)
RETRY: Final = Verb("retry", "retried", frozenset({State.DEAD}))
DELETE: Final = Verb("delete", "deleted", frozenset(State) - {State.RUNNING, State.CANCELLING}, is_destructive=True)


def _acting(verb: Verb) -> Callable[[Callable[..., Any]], click.Command]:
    def wrap(function: Callable[..., Any]) -> click.Command:
        for decorate in (
            pass_session,
            shared_options("app", "store", "json", "debug"),
            click.option("--yes", "-y", is_flag=True, help="Do not ask."),
            click.option("--all", "everything", is_flag=True, help=f"Every job that can be {verb.past}."),
            filter_options,
            click.argument("job_ids", metavar="[ID]...", nargs=-1, shell_complete=complete_jobs),
        ):
            function = decorate(function)
        return click.command(verb.name)(function)

    return wrap


@_acting(CANCEL)
def cancel(session: Session, **options: Any) -> int:
    """Cancel jobs: at once where they wait; running ones are asked to stop.

    Example: lineshaft jobs cancel --queue pdf --state queued --yes
    """
    return _act(session, CANCEL, **options)


@_acting(RETRY)
def retry(session: Session, **options: Any) -> int:
    """Have jobs tried again, with a fresh budget of attempts: dead ones, or those that --state names.

    Example: lineshaft jobs retry --state dead --since 1d --yes
    """
    return _act(session, RETRY, **options)


@_acting(DELETE)
def delete(session: Session, **options: Any) -> int:
    """Delete jobs that are not running, with their logs.

    Example: lineshaft jobs delete --state dead --name shop.render --yes
    """
    return _act(session, DELETE, **options)


def _act(session: Session, verb: Verb, *, job_ids: tuple[str, ...], everything: bool, yes: bool, **options: Any) -> int:
    filters = chosen(options)
    _check(verb, bool(job_ids), bool(filters), everything=everything)
    app = session.store()
    if job_ids:
        return _act_on_ids(session, app, verb, job_ids, is_sure=yes)
    filters.setdefault("state", sorted(verb.states))
    total = app.jobs.count(**filters)
    if total:
        confirm(f"{verb.name.capitalize()} {count_of(total, 'job')}?", is_sure=yes)
    count = acting(verb.name, total, lambda: getattr(app.jobs, verb.name)(**filters), lambda: app.jobs.count(**filters))
    _report(session, verb, count, {})
    return 0


def _check(verb: Verb, has_ids: bool, has_filters: bool, *, everything: bool) -> None:  # noqa: FBT001 - three ways
    context = click.get_current_context()
    if has_ids + has_filters + everything > 1:
        raise click.UsageError(f"say what to {verb.name} in one way: ids, filters such as --queue, or --all", context)
    if not (has_ids or has_filters or everything):
        raise click.UsageError(f"say what to {verb.name}: ids, filters such as --queue, or --all", context)


def _act_on_ids(session: Session, app: Lineshaft, verb: Verb, job_ids: tuple[str, ...], *, is_sure: bool) -> int:
    if verb.is_destructive:
        confirm(f"{verb.name.capitalize()} {count_of(len(job_ids), 'job')}?", is_sure=is_sure)
    failed: dict[str, str] = {}
    for job_id in job_ids:
        try:
            getattr(app.jobs.get(job_id), verb.name)()
        except (JobNotFound, InvalidTransition) as error:
            failed[job_id] = str(error)
            click.echo(f"lineshaft: {error}", err=True)
    _report(session, verb, len(job_ids) - len(failed), failed)
    return 1 if failed else 0


def _report(session: Session, verb: Verb, count: int, failed: dict[str, str]) -> None:
    if session.is_json:
        print_json({verb.past: count, "failed": failed})
    elif count or not failed:
        print_text(f"{verb.past} {count_of(count, 'job')}")
