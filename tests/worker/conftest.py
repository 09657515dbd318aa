"""`lineshaft worker` as an operator starts it: a real process, real signals, and the lines that it logs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from lineshaft import Job
from tests.plugins.apps import eventually

LIMIT: Final = 30.0
_ROOT: Final = Path(__file__).parents[2]
APP: Final = "tests.worker.command_tasks:app"


class WorkerCommand:
    """A running `lineshaft worker` and what it has logged so far."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self.popen = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": f"{_ROOT / 'src'}{os.pathsep}{_ROOT}", **environment},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._seen = 0
        self._has_ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._has_ended = True
            self._news.notify_all()

    def line(self, *parts: str, limit: float = LIMIT) -> str:
        """Return the next line that holds these texts; fails the test when it does not come."""
        deadline = time.monotonic() + limit
        with self._news:
            while True:
                while self._seen < len(self.lines):
                    self._seen += 1
                    if all(part in self.lines[self._seen - 1] for part in parts):
                        return self.lines[self._seen - 1]
                came = not self._has_ended and self._news.wait(deadline - time.monotonic())
                assert came, f"no line with {parts} among {self.lines}"

    def ready(self, count: int = 1) -> None:
        """Wait until so many worker processes said that they are ready."""
        for _ in range(count):
            self.line("lineshaft.worker: ready")

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self.popen.send_signal(number)

    def end(self, limit: float = LIMIT) -> int:
        """Wait for the end and return the exit code; every line is in `lines` then."""
        code = self.popen.wait(limit)
        self._reader.join(limit)
        return code

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        self.send(number)
        return self.end()

    def close(self) -> None:
        """End the process, whatever it does, and those under it."""
        self.popen.kill()
        self.popen.wait(LIMIT)
        self._reader.join(LIMIT)
        assert self.popen.stderr is not None
        self.popen.stderr.close()


StartCommand = Callable[..., WorkerCommand]


@pytest.fixture
def start_command(tmp_path: Path) -> Iterator[StartCommand]:
    """Starts `lineshaft worker` on a store; it ends with the test: `start_command(url, "--processes", "2", NAME=…)`."""
    started: list[WorkerCommand] = []

    def start(
        url: str, *options: str, app: str = APP, before: tuple[str, ...] = (), **environment: str
    ) -> WorkerCommand:
        command = [*before, sys.executable, "-m", "lineshaft", "--app", app, "worker", *options]
        started.append(WorkerCommand(command, {"LINESHAFT_STORE": url, **environment}, tmp_path))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The address of a new SQLite store."""
    return f"sqlite:///{tmp_path / 'jobs.db'}"


def await_start(gate: Path, *jobs: Job[Any]) -> None:
    """Wait until the code of these jobs, named `hold`, has begun: one that is only claimed is put back at a stop."""
    for job in jobs:
        eventually(Path(f"{gate}.{job.id}").exists)


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that is dead and not reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
