"""`lineshaft jobs enqueue`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from lineshaft.cli.completion import complete_queues, complete_tasks
from lineshaft.cli.jobs.form import job_object, stored_result, whole_job
from lineshaft.cli.output import print_json, print_text
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.cli.values import call_of, duration, duration_or_moment, json_object, json_value, moment
from lineshaft.errors import ResultGone
from lineshaft.newjob import NewJob
from lineshaft.options import Options
from lineshaft.payload import dump_plain

if TYPE_CHECKING:
    from lineshaft import Job, Lineshaft

_OPTIONS: Final = ("queue", "priority", "delay", "run_at", "deadline", "tags", "meta", "tenant")


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
@click.option("--wait", "must_wait", is_flag=True, help="Wait for the job and print its result as JSON.")
@click.option("--timeout", type=duration, metavar="DURATION", help="With --wait: how long.")
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
    context = click.get_current_context()
    if timeout and not must_wait:
        raise click.UsageError("--timeout says how long to --wait; add it", context)
    if options["delay"] and options["run_at"]:
        raise click.UsageError("--delay and --run-at say the same thing; give one of them", context)
    app = session.app_or_store()
    new_job = _new_job(app, task, payload, _given(options), is_known=session.app_path is not None)
    job = app.enqueue_new(new_job)
    if must_wait:
        _print_result(session, job, timeout)
    elif session.is_json:
        print_json(job_object(job))
    else:
        print_text(job.id)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    given = {name: options[name] for name in _OPTIONS if options[name]}
    if "priority" in given:
        given["priority"] = _priority(given["priority"])
    return given


def _priority(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text


def _new_job(app: Lineshaft, name: str, payload: Any, options: dict[str, Any], *, is_known: bool) -> NewJob[Any]:
    args, kwargs = call_of(payload)
    if not is_known:
        text = dump_plain(name, args, kwargs, limit=app.payload_limit)
        return NewJob(name, text, Options().but(**options), {})
    app.load_imports()
    task = app.find(name)
    positional, keyword = task.signature.rebuild(args, kwargs)
    return task.options(**options).new(*positional, **keyword)


def _print_result(session: Session, job: Job[Any], timeout: str | None) -> None:
    try:
        job.result(timeout)
    except ResultGone:  # it completed, and its task says that nobody needs the result
        job.refresh()
    if session.is_json:
        print_json(whole_job(job))
    else:
        print_text(msgspec.json.encode(stored_result(job)).decode())
