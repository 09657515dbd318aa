"""A bar for what takes long: acting on many jobs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final

_MANY: Final = 5_000
_LOOK_SECONDS: Final = 0.5


def acting(verb: str, total: int, act: Callable[[], int], remaining: Callable[[], int]) -> int:
    """Run `act` and return its count; on a terminal, show meanwhile how many of `total` jobs are `remaining`."""
    if total < _MANY or not sys.stderr.isatty():
        return act()
    with ThreadPoolExecutor(max_workers=1) as pool:
        running = pool.submit(act)
        _show(verb, total, running, remaining)
        return running.result()


def _show(verb: str, total: int, running: Future[int], remaining: Callable[[], int]) -> None:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(verb, total=total)
        while not wait([running], _LOOK_SECONDS).done:
            bar.update(task, completed=max(0, total - remaining()))
