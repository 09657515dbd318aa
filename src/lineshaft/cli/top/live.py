"""The live view: a thread that looks at the store, and the main thread, which takes keys and draws."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from rich.console import Console, Group
from rich.live import Live

from lineshaft.cli.top.observer import Observer
from lineshaft.cli.top.screen import ORDERS, View, draw
from lineshaft.cli.top.snapshot import Rates, Snapshot
from lineshaft.cli.top.terminal import Terminal, opened
from lineshaft.clock import to_datetime, wall_clock
from lineshaft.errors import StoreError

_TERMINATED: Final = 143
_MOST_HISTORY: Final = 500
_SHARE: Final = 9
"""The thread rests at least so many times as long as its look took: a tenth of the time is the most that it asks."""
_JOIN_SECONDS: Final = 1.0


class Watcher:
    """Looks at the store every `interval` seconds, in a thread of its own: a store that hangs holds up no keys."""

    def __init__(self, observer: Observer, interval: float, first: Snapshot, on_news: Callable[[], None]) -> None:
        self._observer, self._interval, self._on_news = observer, interval, on_news
        self.newest = first
        self.history: deque[Rates] = deque([first.rates], maxlen=_MOST_HISTORY)
        self.away_since: datetime | None = None
        """Since when the store has not answered."""
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="lineshaft-top", daemon=True)

    def start(self) -> None:
        """Start to look."""
        self._thread.start()

    def close(self) -> bool:
        """Stop; False when a look is under way that does not end."""
        self._closed.set()
        self._thread.join(_JOIN_SECONDS)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while not self._closed.wait(max(self._interval, _SHARE * self.newest.read_ms / 1_000)):
            self._look()
            if not self._closed.is_set():
                self._on_news()

    def _look(self) -> None:
        try:
            self.newest = self._observer.look()
        except StoreError:
            self.away_since = self.away_since or to_datetime(wall_clock())
        else:
            self.away_since = None
            self.history.append(self.newest.rates)


def watch(observer: Observer, interval: float, first: Snapshot) -> bool:
    """Show the store until `q`; False when the thread that looks still waits for the store's answer.

    Raises `SystemExit` on SIGTERM and `KeyboardInterrupt` on Ctrl-C; whichever it is, the terminal is put back.
    """
    console = Console()
    with opened() as terminal, Live(console=console, screen=True, auto_refresh=False, redirect_stderr=False) as live:
        watcher = Watcher(observer, interval, first, terminal.wake)
        watcher.start()
        try:
            _show(terminal, watcher, live, console)
        finally:
            has_ended = watcher.close()
    if terminal.is_ended:
        sys.exit(_TERMINATED)
    return has_ended


def _show(terminal: Terminal, watcher: Watcher, live: Live, console: Console) -> None:
    view, shown, history = View(), watcher.newest, list(watcher.history)
    while not terminal.is_ended:
        if not view.is_frozen:
            shown, history = watcher.newest, list(watcher.history)
        size = console.size
        seen = replace(view, away=_away(watcher.away_since))
        live.update(Group(*draw(shown, history, seen, size.width, size.height)), refresh=True)
        for key in terminal.wait():
            if key in "qQ":
                return
            view = _changed(view, key)


def _changed(view: View, key: str) -> View:
    if key == " ":
        return replace(view, is_frozen=not view.is_frozen)
    if key == "s":
        return replace(view, order=ORDERS[(ORDERS.index(view.order) + 1) % len(ORDERS)])
    return view


def _away(since: datetime | None) -> str | None:
    return None if since is None else f"the store does not answer since {since:%H:%M:%S} UTC"
