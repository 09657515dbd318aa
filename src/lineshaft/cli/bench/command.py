"""The command."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import click

from lineshaft.cli.bench.progress import watching
from lineshaft.cli.bench.show import print_figures
from lineshaft.cli.output import print_json
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.cli.values import call_of, json_value

if TYPE_CHECKING:
    from lineshaft.bench.subject import Workload

_SLOTS: Final = 10


@click.command("bench")
@click.option("--task", metavar="NAME", help="A task of the app to measure; else two that do nothing.")
@click.option("--args", "payload", type=json_value, metavar="JSON", help="Its arguments, as for 'jobs enqueue'.")
@click.option(
    "--jobs", type=click.IntRange(1), metavar="N", help="Jobs a drain; else 20,000, or a task's for ten seconds."
)
@click.option(
    "--processes", type=click.IntRange(1), default=1, show_default=True, help="Measure so many worker processes too."
)
@click.option(
    "--slots", type=click.IntRange(1), default=_SLOTS, show_default=True, help="Most jobs at once in one process."
)
@shared_options("app", "store", "json", "debug")
@pass_session
def bench(session: Session, /, task: str | None, payload: Any, jobs: int | None, *, processes: int, slots: int) -> None:
    """Measure how fast this store takes jobs and workers run them, and say what limits it now.

    The jobs stand in a queue of their own and are removed afterwards; those of a --task really run. Pick-up is the time
    from the call of enqueue to the function's first line, in a worker that has nothing to do. The raw limits are those
    of bare SQL in tables beside the store's, which are removed too.

    Example: lineshaft bench --store sqlite:///bench.db --jobs 5000
    """
    if payload is not None and task is None:
        raise click.UsageError("--args are those of a --task; name it", click.get_current_context())
    from lineshaft.bench.figures import shares
    from lineshaft.bench.run import run_bench
    from lineshaft.bench.verdict import judge

    workload = _workload(session, task, payload)
    with watching(is_quiet=session.is_json) as watcher:
        figures = run_bench(workload, jobs=jobs, processes=processes, slots=slots, watcher=watcher)
    found, reached = judge(figures), shares(figures)
    if session.is_json:
        verdict = [asdict(one) for one in found]
        print_json({**asdict(figures), "shares": reached and asdict(reached), "verdict": verdict})
    else:
        print_figures(figures, reached, found)


def _workload(session: Session, task: str | None, payload: Any) -> Workload:
    from lineshaft.bench.subject import built_in, of_user

    if task is None:
        return built_in(session.store(may_create=True).settings.store)
    app, path = session.app(), session.app_path
    assert path is not None
    return of_user(app, path, task, *call_of(payload))
