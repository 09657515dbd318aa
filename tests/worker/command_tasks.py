"""The app that tests of `lineshaft worker` serve; its jobs wait at gates, which are files."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lineshaft import Cancelled, Lineshaft, current_job

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 30.0
app = Lineshaft()
_pause = threading.Event()


def wait_for(gate: str) -> None:
    """Wait until a file exists, in steps at which a stopped job stops."""
    deadline = time.monotonic() + LIMIT
    while not Path(gate).exists():
        _pause.wait(0.005)
        if time.monotonic() > deadline:
            raise TimeoutError(gate)


if "GATE_AT_IMPORT" in os.environ:
    Path(os.environ["GATE_AT_IMPORT"] + ".reached").touch()
    wait_for(os.environ["GATE_AT_IMPORT"])


@app.lifespan
def note_life() -> Iterator[None]:
    """Leave files that tell of the start and the end; wait in between where a test says so."""
    folder = os.environ.get("LIFE_FOLDER")
    if folder is None:
        yield
        return
    Path(folder, "started").touch()
    try:
        wait_for(f"{folder}/go-on")
        yield
    finally:
        Path(folder, "ended").touch()


@app.task(name="whoami")
def whoami() -> int:
    return os.getpid()


@app.task(name="hold")
def hold(gate: str) -> int:
    Path(f"{gate}.{current_job().id}").touch()
    wait_for(gate)
    return os.getpid()


@app.task(name="hang", timeout=0.2, retry=None)
def hang(gate: str) -> None:
    while not Path(gate).exists():
        try:
            wait_for(gate)
        except Cancelled:
            continue


@app.task(name="talk")
def talk() -> None:
    current_job().log.info("one line\nand another")


@app.task(name="talk_in_child", runs_in="process")
def talk_in_child() -> None:
    current_job().log.info("one line\nand another")


@app.task(name="leave_thread")
def leave_thread() -> None:
    threading.Thread(target=threading.Event().wait, name="left-behind", daemon=False).start()


@app.task(name="leave_orphan")
def leave_orphan(pid_file: str) -> None:
    """Have a child start a grandchild and end; the grandchild ends a moment later, with nobody to reap it."""
    grandchild = f"import os; open({pid_file!r} + '.tmp', 'w').write(str(os.getpid())); "
    grandchild += f"os.rename({pid_file!r} + '.tmp', {pid_file!r})"
    child = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {grandchild!r}])"
    subprocess.run([sys.executable, "-c", child], check=True)
