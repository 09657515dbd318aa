"""A `lineshaft worker` in a process of its own, started and stopped as an operator would do it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from lineshaft.errors import LineshaftError

_STOP_SECONDS: Final = 35.0  # a worker lets running jobs finish for 25 s


class WorkerProcess:
    """A running `lineshaft worker`; what it prints goes to `log`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def watch(self, seconds: float) -> None:
        """Wait; raises `LineshaftError` at once, with its last words, if the worker ends meanwhile."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return
        lines = self._log.read_text("utf-8", "replace").splitlines() or ["nothing"]
        msg = f"the worker ended with exit code {code} before its jobs did; the last that it said: {lines[-1]}"
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
def running_worker(
    app: str, store: str, *options: str, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[WorkerProcess]:
    """Run a worker for as long as the block, also when this program is told to stop.

    `app` is `module:name`, `store` an address, `options` are those of `lineshaft worker`; `log` is overwritten with
    what the worker prints; `environment` is added to this process's.
    """
    # The address may carry a password, which every user of the machine could read in a command line.
    variables = {**os.environ, "LINESHAFT_STORE": store, **(environment or {})}
    command = [sys.executable, "-m", "lineshaft", "--app", app, "worker", *options]
    with log.open("wb") as output, sigterm_as_exit():
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, env=variables, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        worker = WorkerProcess(process, log)
        try:
            yield worker
        finally:
            worker.stop()


@contextmanager
def sigterm_as_exit() -> Iterator[None]:
    """Turn SIGTERM into an exception: by default it ends Python without running `finally`, and what it holds stays."""
    before = signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _exit(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the shape of a signal handler
    raise SystemExit(128 + number)
