"""`lineshaft top`."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from typing import TYPE_CHECKING, Final

import click

from lineshaft.app.store import open_engine
from lineshaft.cli.output import is_terminal, print_json, print_text
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.cli.top.observer import Observer
from lineshaft.cli.top.screen import plain
from lineshaft.cli.values import duration
from lineshaft.clock import SECOND, to_micros
from lineshaft.config import parse_store
from lineshaft.errors import LineshaftError

if TYPE_CHECKING:
    from lineshaft.cli.top.snapshot import Snapshot
    from lineshaft.engines.base import Engine

_SHORTEST: Final = SECOND // 5
_BEAT_SECONDS: Final = 1.1
"""Workers are heard of every second: rates need two heartbeats of each."""
_WHOLE: Final = 10_000
"""Columns of a pipe: nothing is cut."""


@click.command("top")
@click.option("--interval", type=duration, default="1s", show_default=True, help="How often to look.")
@click.option("--once", is_flag=True, help="Print it once and end, as in a pipe and with --json.")
@shared_options("app", "store", "json", "debug")
@pass_session
def top(session: Session, /, interval: str, *, once: bool) -> None:
    """Watch queues, workers and rates live: q quits, space freezes, s sorts the queues.

    Example: lineshaft top --interval 2s
    """
    micros = to_micros(interval, "--interval")
    if micros < _SHORTEST:
        raise click.UsageError("--interval must be 0.2s or more", click.get_current_context())
    app = session.store()
    engine = open_engine(parse_store(app.settings.store))
    has_ended = True
    try:
        _refuse_foreign(engine)
        observer = Observer(engine, app.settings.silence)
        first = observer.look()
        if once or session.is_json or not _has_screen():
            _print(session, _second(observer))
        else:
            from lineshaft.cli.top.live import watch

            has_ended = watch(observer, micros / SECOND, first)
    finally:
        if has_ended:
            engine.close()
    if not has_ended:
        os._exit(0)  # a driver that waits for its server would hold up Python's own end


def _has_screen() -> bool:
    return is_terminal() and os.environ.get("TERM", "dumb") != "dumb"


def _second(observer: Observer) -> Snapshot:
    threading.Event().wait(_BEAT_SECONDS)
    return observer.look()


def _print(session: Session, snapshot: Snapshot) -> None:
    if session.is_json:
        print_json(snapshot)
        return
    for line in plain(snapshot, shutil.get_terminal_size().columns if is_terminal() else _WHOLE):
        print_text(line)
    sys.stdout.flush()


def _refuse_foreign(engine: Engine) -> None:
    if not engine.has_schema():
        msg = f"{engine.address} holds no Lineshaft store; check the address, or create one with 'lineshaft migrate'"
        raise LineshaftError(msg)
