"""What the demo prints at its end: tables, figures, and where to look next."""

from __future__ import annotations

import shlex
import shutil
import sys
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from lineshaft.demo.progress import Tally
    from lineshaft.demo.report import DeadLetter, Report, Totals
    from lineshaft.demo.summary import Summary

_PACKAGES: Final = 10


def print_report(console: Console, report: Report) -> None:
    """Print the packages with the most code and every dead letter."""
    console.print()
    if report.scan.note:
        console.print(Text(report.scan.note, style="yellow"))
    console.print(_packages(report))
    console.print(_dead(report))


def _packages(report: Report) -> Table:
    title = f"Python {report.scan.python}: the largest of {len(report.packages)} packages"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_footer=True)
    table.add_column("package", footer="all")
    total = _numbers(report.total)
    for name, sum_ in zip(("files", "lines", "code", "functions", "classes", "complexity"), total, strict=True):
        table.add_column(name, justify="right", footer=sum_)
    for one in report.packages[:_PACKAGES]:
        table.add_row(Text(one.package), *_numbers(one))
    return table


def _numbers(one: Totals) -> tuple[str, ...]:
    counts = (one.files, one.lines, one.code_lines, one.functions, one.classes, one.complexity)
    return tuple(f"{count:,}" for count in counts)


def _dead(report: Report) -> Table:
    table = Table(title="Dead letters", title_justify="left", box=SIMPLE_HEAD)
    for name in ("job", "reason", "attempts", "error"):
        table.add_column(name, justify="right" if name == "attempts" else "left", overflow="fold")
    for one in report.dead:
        table.add_row(Text(one.subject.rpartition("/")[2]), one.reason, str(one.attempts), _error(one))
    return table


def _error(one: DeadLetter) -> Text:
    return Text.assemble((one.error, "red"), f": {one.message}")


def print_summary(console: Console, summary: Summary, tally: Tally) -> None:
    """Print the figures of the files' jobs and how all jobs ended."""
    rate = f"{summary.jobs:,} files in {summary.seconds:.1f} s: {summary.jobs_per_second:,.0f} jobs per second"
    waits = f"wait: p50 {summary.median_wait_seconds:.2f} s, p99 {summary.p99_wait_seconds:.2f} s"
    console.print()
    console.print(f"{rate}, in 2 worker processes", highlight=False, soft_wrap=True)
    console.print(f"{waits} (all were enqueued at once)", highlight=False, soft_wrap=True)
    console.print(
        f"{summary.retried} retried, {tally.dead} dead, {tally.cancelled} cancelled", highlight=False, soft_wrap=True
    )


def print_hints(console: Console, store: str, report: Report, page: Path) -> None:
    """Print where the page is and the commands that show the run's jobs; a password is never printed."""
    lines = [f"Report: {page}", "", "Look at the jobs:"]
    lines += [f"  {command}" for command in commands(store, report)]
    console.print()
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def commands(store: str, report: Report) -> list[str]:
    """Return the command lines that list the run's dead jobs and show the first of them."""
    head = f"LINESHAFT_STORE=… {program()}" if has_password(store) else f"{program()} --store {shlex.quote(store)}"
    listing = [f"{head} jobs list --tag {report.run} --state dead"]
    return listing + [f"{head} jobs show {one.job_id}" for one in report.dead[:1]]


def has_password(store: str) -> bool:
    """Tell whether a store's address carries a password."""
    parts = urlsplit(store)
    return bool(parts.password) or "password=" in parts.query


def program() -> str:
    """Return how `lineshaft` is called from the reader's shell."""
    return "lineshaft" if shutil.which("lineshaft") else f"{shlex.quote(sys.executable)} -m lineshaft"
