"""Where a scene is played: a new store, a worker in this process, and what its jobs did."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

from lineshaft import Lineshaft
from lineshaft.app.serving import Serving

Value = TypeVar("Value")

_LOOK_SECONDS = 0.01
_PATIENCE_SECONDS = 60.0


class Span(NamedTuple):
    """One attempt: whose it was, from when to when in seconds since the scene began, and how it went."""

    label: str
    start: float
    end: float
    is_ok: bool = True
    text: str = ""


class Stage:
    """An app on a store of its own, and the attempts of its jobs in the order of their ends."""

    def __init__(self, app: Lineshaft, address: str) -> None:
        self.app, self.address = app, address
        self.spans: list[Span] = []
        self.begin()
        self._changed = threading.Condition()

    @property
    def now(self) -> float:
        """Seconds since the scene began."""
        return time.monotonic() - self._began

    def begin(self) -> None:
        """Count seconds from here on."""
        self._began = time.monotonic()

    async def work(self, label: str, seconds: float, text: str = "") -> None:
        """Be the body of a job that takes this long."""
        start = self.now
        await asyncio.sleep(seconds)
        self.note(Span(label, start, self.now, text=text))

    def note(self, span: Span) -> None:
        """Keep what an attempt did; from any thread."""
        with self._changed:
            self.spans.append(span)
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        """Return when so many attempts have ended."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.spans) >= count, _PATIENCE_SECONDS):
                msg = f"{len(self.spans)} of {count} attempts ended in {_PATIENCE_SECONDS:.0f} s"
                raise TimeoutError(msg)

    def sample(self, until: float, read: Callable[[], Value], every: float = 0.05) -> list[tuple[float, Value]]:
        """Return (second, value) as they were until that second of the scene."""
        found: list[tuple[float, Value]] = []
        while self.now < until:
            found.append((self.now, read()))
            time.sleep(every)
        return found

    def wait_until(self, second: float) -> None:
        """Return at this second of the scene."""
        while (left := second - self.now) > 0:
            time.sleep(min(left, _LOOK_SECONDS))


@contextmanager
def new_stage() -> Iterator[Stage]:
    """Give a stage on a SQLite file that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        address = f"sqlite:///{Path(folder) / 'scene.db'}"
        app = Lineshaft(address)
        try:
            yield Stage(app, address)
        finally:
            app.close()


@contextmanager
def serving(stage: Stage, queues: Mapping[str, int], options: Serving | None = None) -> Iterator[None]:
    """Have a worker serve these queues, and begin to count seconds once it does."""
    with stage.app.worker(dict(queues), **(options or {})):
        stage.begin()
        yield
