"""`lineshaft jobs show` and `lineshaft jobs logs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec

from lineshaft.cli.completion import complete_jobs
from lineshaft.cli.jobs.form import stored_result, whole_job
from lineshaft.cli.output import ago, iso, many_lines, one_line, print_hint, print_json, print_text, styled
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.transitions import State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from lineshaft import Job


@click.command("show")
@click.argument("job_id", metavar="ID", shell_complete=complete_jobs)
@shared_options("app", "store", "json", "debug")
@pass_session
def show(session: Session, job_id: str) -> None:
    """Show everything about a job: arguments, times, progress, the error of each attempt, the result.

    Example: lineshaft jobs show 0197a6f0-5c1e-7cc3-98c4-dc0c0c07398f
    """
    job = session.store().jobs.get(job_id)
    if session.is_json:
        print_json(whole_job(job))
        return
    _print_facts([fact for fact in _facts(job) if fact[1]])
    for error in job.errors:
        _print_error(error)


@click.command("logs")
@click.argument("job_id", metavar="ID", shell_complete=complete_jobs)
@shared_options("app", "store", "json", "debug")
@pass_session
def logs(session: Session, job_id: str) -> None:
    """Show what a job logged, attempt by attempt.

    Example: lineshaft jobs logs 0197a6f0-5c1e-7cc3-98c4-dc0c0c07398f
    """
    entries = session.store().jobs.get(job_id).logs()
    if session.is_json:
        print_json(entries)
        return
    for entry in entries:
        head = f"{iso(entry['at'])}  {entry['attempt']}  {str(entry['level']).upper():7}"
        print_text(f"{head}  {one_line(str(entry['logger']))}: {many_lines(str(entry['message']))}")
    if not entries:
        print_hint("the job logged nothing")


def _facts(job: Job[Any]) -> Iterator[tuple[str, str]]:
    args, kwargs = job.args
    yield "id", job.id
    yield "task", one_line(job.name)
    yield "state", styled(job.state.value) + (f" ({job.reason.value})" if job.reason else "")
    if not job.state.is_final:
        yield "why", one_line(job.why()[0].text)
    yield "queue", job.queue
    yield "priority", str(job.priority)
    yield "attempt", f"{job.attempt} of {job.max_attempts}"
    yield "args", ", ".join([_json(one) for one in args] + [f"{name}={_json(one)}" for name, one in kwargs.items()])
    yield "tags", one_line(", ".join(job.tags))
    yield "meta", _json(job.meta) if job.meta else ""
    yield "tenant", one_line(job.tenant or "")
    for name in ("created", "run", "deadline", "started", "finished"):
        yield name, _time(getattr(job, name if name == "deadline" else f"{name}_at"))
    if job.progress:
        message = f" {one_line(job.progress.message)}" if job.progress.message else ""
        yield "progress", f"{job.progress.fraction:.0%}{message}"
    if job.state is State.COMPLETED:
        yield "result", _json(stored_result(job))


def _print_facts(facts: list[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in facts)
    for name, text in facts:
        print_text(f"{styled(name.ljust(width), 'dim')}  {text}")


def _print_error(error: dict[str, Any]) -> None:
    summary = styled(one_line(f"{error['type']}: {error['message']}"), "red")
    print_text(f"\nattempt {error['attempt']}, {_time(error['at'])}: {summary}")
    if error["traceback"]:
        print_text(many_lines(error["traceback"].rstrip()))


def _time(when: datetime | None) -> str:
    if when is None:
        return ""
    relative = ago(when)
    return iso(when) if relative == iso(when) else f"{iso(when)} ({relative})"


def _json(value: Any) -> str:
    return one_line(msgspec.json.encode(value).decode())
