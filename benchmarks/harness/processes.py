"""Starting and ending the processes of a run, whatever they do to get away."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final

import psutil

STOP_SECONDS: Final = 10
_PR_SET_CHILD_SUBREAPER: Final = 36
_MEBI: Final = 2**20


class Group:
    """The worker processes of one subject, started together, with all that they start."""

    def __init__(
        self, commands: Iterable[Sequence[str]], *, environment: Mapping[str, str], folder: Path, log: Path
    ) -> None:
        self._log = log
        self._leaders: list[subprocess.Popen[bytes]] = []
        with log.open("ab") as output:
            for command in commands:
                self._leaders.append(
                    subprocess.Popen(
                        command,
                        env=dict(environment),
                        cwd=folder,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                )

    @property
    def is_running(self) -> bool:
        """Whether all that were started still run."""
        return all(leader.poll() is None for leader in self._leaders)

    def last_line(self) -> str:
        """Return the last thing that they printed."""
        return last_line(self._log.read_text("utf-8", "replace"))

    def members(self) -> list[psutil.Process]:
        """Return all their processes, children of children too."""
        found: list[psutil.Process] = []
        for leader in self._leaders:
            if leader.poll() is not None:
                continue  # its id may be another process's by now
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(leader.pid)
                found += [process, *process.children(recursive=True)]
        return found

    def cpu_seconds(self) -> float:
        """Return the processor time that they have used, in user and system mode."""
        used = 0.0
        for process in self.members():
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                used += times.user + times.system
        return used

    def resident_mib(self) -> float:
        """Return their resident memory, pages that they share counted for each."""
        used = 0
        for process in self.members():
            with suppress(psutil.NoSuchProcess):
                used += process.memory_info().rss
        return used / _MEBI

    def stop(self) -> None:
        """Ask them to stop, and kill those that have not after ten seconds."""
        members = self.members()  # a child that outlives its parent is not found afterwards
        for leader in self._leaders:
            with suppress(ProcessLookupError):
                leader.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for leader in self._leaders:
            with suppress(subprocess.TimeoutExpired):
                leader.wait(max(0.0, deadline - time.monotonic()))
        self._kill(members)

    def kill(self) -> None:
        """Kill them and their children at once, as a power cut would."""
        self._kill(self.members())

    def _kill(self, members: Sequence[psutil.Process]) -> None:
        kill(members)
        for leader in self._leaders:
            leader.wait()


def kill(processes: Sequence[psutil.Process]) -> None:
    """Kill the processes and wait until they are gone."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=STOP_SECONDS)


def last_line(text: str) -> str:
    """Return the last line that is not empty."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"


@contextmanager
def nothing_left_behind() -> Iterator[None]:
    """Make SIGTERM an exception like Ctrl-C, and at the end kill whatever descends from this process.

    A second signal does not disturb the tidying up.
    """
    _adopt_orphans()
    before = {number: signal.signal(number, _leave) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        kill(psutil.Process().children(recursive=True))
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, _frame: FrameType | None) -> None:
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(128 + number)


def _adopt_orphans() -> None:
    """Let children whose parent ended become ours, so that they can be found; only Linux knows how."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
