"""`lineshaft bench`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import click

from lineshaft.cli.output import print_json, print_text
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.cli.table import Column, print_table

if TYPE_CHECKING:
    from lineshaft.bench.figures import Figures

_COLUMNS: Final = (
    Column("what"),
    Column("jobs", is_number=True),
    Column("per second", is_number=True),
    Column("p50 ms", is_number=True),
    Column("p99 ms", is_number=True),
)


@click.command("bench")
@click.option("--jobs", type=click.IntRange(100), default=20_000, show_default=True, help="Jobs to run of each kind.")
@shared_options("app", "store", "json", "debug")
@pass_session
def bench(session: Session, jobs: int) -> None:
    """Measure how fast this store takes jobs, and how fast one worker process runs them.

    The jobs do nothing, stand in a queue of their own and are removed afterwards. Pick-up is the time from the call
    of enqueue to the function's first line, in a worker that has nothing to do.

    Example: lineshaft bench --store sqlite:///bench.db --jobs 5000
    """
    from lineshaft.bench.run import run_bench

    store = session.store(may_create=True).settings.store
    with _progress() as tell:
        figures = run_bench(store, jobs=jobs, tell=tell)
    if session.is_json:
        print_json(asdict(figures))
        return
    print_text(f"{figures.store}, one worker process\n")
    print_table(_COLUMNS, _rows(figures), empty="")


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Show what is being done, if a person looks on."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield status.update


def _rows(figures: Figures) -> Iterator[tuple[str, str, str, str, str]]:
    single, each, pick_up = figures.single_enqueue, figures.single_enqueue_latency, figures.pick_up
    yield "single enqueue", f"{single.count:,}", f"{single.per_second:,.0f}", f"{each.p50_ms:.2f}", f"{each.p99_ms:.2f}"
    for name, one in (
        ("bulk enqueue", figures.bulk_enqueue),
        ("drain, def in threads", figures.drain_threads),
        ("drain, async def", figures.drain_async),
    ):
        yield name, f"{one.count:,}", f"{one.per_second:,.0f}", "", ""
    yield "pick-up when idle", f"{pick_up.count:,}", "", f"{pick_up.p50_ms:.2f}", f"{pick_up.p99_ms:.2f}"
