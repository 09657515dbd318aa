"""The bench's worker: a real `lineshaft worker` in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lineshaft.errors import LineshaftError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_STOP_SECONDS: Final = 35  # a worker lets running jobs finish for 25 s


class Worker:
    """A running worker; what it prints goes to `log`."""

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
        lines = self._log.read_text("utf-8", "replace").splitlines() or ["it said nothing"]
        msg = f"the bench's worker ended with exit code {code}: {lines[-1]}"
        raise LineshaftError(msg)

    def stop(self) -> None:
        """Ask it to stop, and kill it only if it does not."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def running_worker(store: str, queue: str) -> Iterator[Worker]:
    """Run a worker on the queue for as long as the block, also when the bench itself is told to stop."""
    with tempfile.TemporaryDirectory(prefix="lineshaft-bench-") as folder, _sigterm_as_exit():
        log = Path(folder, "worker.log")
        worker = Worker(_start(store, queue, log), log)
        try:
            yield worker
        finally:
            worker.stop()


def _start(store: str, queue: str, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "lineshaft", "--app", "lineshaft.bench.tasks:app", "worker", "--queues", queue]
    # The address may carry a password, which every user of the machine could read in a command line.
    environment = {**os.environ, "LINESHAFT_STORE": store}
    with log.open("wb") as output:
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
