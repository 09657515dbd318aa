"""The demo's live progress: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

_LINE_EVERY: Final = 8


@dataclass(frozen=True, slots=True)
class Tally:
    """How far a run is; `total` is 0 until the scan knows it."""

    total: int
    completed: int
    retrying: int
    dead: int
    cancelled: int

    @property
    def finished(self) -> int:
        """The jobs that reached a final state."""
        return self.completed + self.dead + self.cancelled

    @property
    def is_done(self) -> bool:
        """Whether no job is left."""
        return 0 < self.total <= self.finished

    def __str__(self) -> str:
        return f"{self.completed:,} completed, {self.retrying} retrying, {self.dead} dead, {self.cancelled} cancelled"


@contextmanager
def live_progress(console: Console) -> Iterator[Callable[[Tally], None]]:
    """Show each tally that is handed in: a bar on a terminal, a line now and then elsewhere."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("scanning", total=None)
        yield lambda tally: progress.update(
            bar, total=tally.total or None, completed=tally.finished, description=str(tally)
        )


class _Lines:
    """Prints every eighth tally, and the last one, if it differs from the line before."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._calls = 0
        self._last = ""

    def __call__(self, tally: Tally) -> None:
        self._calls += 1
        line = f"{tally.finished:,} of {tally.total:,} jobs: {tally}" if tally.total else "scanning"
        if (self._calls % _LINE_EVERY == 1 or tally.is_done) and line != self._last:
            self._console.print(line, highlight=False, soft_wrap=True)
            self._last = line
