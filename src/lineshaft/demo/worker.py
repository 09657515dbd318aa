"""The demo's worker: a real `lineshaft worker` with two processes, started and stopped as an operator would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

from lineshaft.errors import LineshaftError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import FrameType

PROCESSES: Final = 2
_STOP_SECONDS: Final = 35.0  # a worker lets running jobs finish for 25 s


class WorkerProcess:
    """A running `lineshaft worker`; what it prints goes to `log`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    def watch(self, seconds: float) -> None:
        """Wait; raises `LineshaftError` at once if the worker ends meanwhile."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return
        msg = f"the demo's worker ended with exit code {code} before its jobs did; read {self._log}"
        raise LineshaftError(msg)

    def stop(self, patience_seconds: float = _STOP_SECONDS) -> None:
        """Ask it to stop as a service manager does, and kill it only if it has not after `patience_seconds`."""
        self._process.terminate()
        try:
            self._process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def running_worker(store: str, queue: str, log: Path) -> Iterator[WorkerProcess]:
    """Run a worker on a queue of the store for as long as the block, also when the demo itself is told to stop."""
    with log.open("wb") as output, _sigterm_as_exit():
        worker = WorkerProcess(_start(store, queue, output), log)
        try:
            yield worker
        finally:
            worker.stop()


def _start(store: str, queue: str, output: IO[bytes]) -> subprocess.Popen[bytes]:
    app = ["--app", "lineshaft.demo.tasks:app"]
    command = [sys.executable, "-m", "lineshaft", *app, "worker", "--queues", queue, "--processes", str(PROCESSES)]
    # The address may carry a password, which every user of the machine could read in a command line.
    environment = {**os.environ, "LINESHAFT_STORE": store}
    return subprocess.Popen(  # noqa: S603 - our own command
        command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
    )


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """Turn SIGTERM into an exception: by default it ends Python without running `finally`, and the worker stays."""
    before = signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _exit(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the shape of a signal handler
    raise SystemExit(128 + number)
