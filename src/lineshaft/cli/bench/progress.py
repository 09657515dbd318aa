"""How far a bench is: a bar on a terminal, a line a step in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lineshaft.cli.output import print_hint

if TYPE_CHECKING:
    from rich.progress import Progress

    from lineshaft.bench.watcher import Watcher


@contextmanager
def watching(*, is_quiet: bool) -> Iterator[Watcher]:
    """Show on standard error what is being done; `is_quiet`: only to a person."""
    if not sys.stderr.isatty():
        yield _Lines(is_quiet=is_quiet)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _Bar(progress)


class _Bar:
    """One bar, for the present step; a step without a number of jobs only pulses."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bar = progress.add_task("", total=None)

    def step(self, what: str, total: int) -> None:
        self._progress.reset(self._bar, total=total or None, description=what)

    def reached(self, done: int) -> None:
        self._progress.update(self._bar, completed=done)


class _Lines:
    def __init__(self, *, is_quiet: bool) -> None:
        self._is_quiet = is_quiet

    def step(self, what: str, total: int) -> None:
        if not self._is_quiet:
            print_hint(f"{what}: {total:,}" if total else what)

    def reached(self, done: int) -> None:
        """Say nothing more: a pipe is no place for a bar."""
