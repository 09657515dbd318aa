"""A child process as its parent sees it: the process, the connection, and the job that it runs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from enum import Enum
from queue import SimpleQueue
from typing import Any, Final

import psutil

from lineshaft.clock import Clock
from lineshaft.config import Settings
from lineshaft.worker.joblog import JobLog
from lineshaft.worker.lanes.wire import Hello, Note, Start, ToChild, frame, frames_from_child
from lineshaft.worker.loading import CHILD_VARIABLE
from lineshaft.worker.logs import configured
from lineshaft.worker.run import Run

_READ_BYTES: Final = 1 << 16


class Phase(Enum):
    """What a child is doing."""

    STARTING = "imports the app"
    IDLE = "waits for a job"
    BUSY = "runs a job"
    LEAVING = "was asked to end"
    DYING = "was killed or is gone, and is not reaped yet"


class Child:
    """One child process, in a session of its own, so that it can be killed with what its job started."""

    def __init__(self, app_path: str, settings: Settings, blobs: str | None) -> None:
        """Start it; raises `OSError` when the system gives no process or descriptor."""
        self.phase = Phase.STARTING
        self.run: Run | None = None
        self.jobs = 0
        self.alarm_at: float | None = None
        """When, on the monotonic clock, the lane has to look after it."""
        self.is_replaced = False
        self.reap_tries = 0
        self.failures_before = 0
        self.failure: tuple[str, str] | None = None
        """Why it could not start: the last line, and the traceback."""
        self.askers: list[SimpleQueue[str]] = []
        self._frames = frames_from_child()
        self._outbox = bytearray()
        self.connection, theirs = socket.socketpair()
        try:
            with theirs:
                self.process = _start(theirs.fileno())
        except OSError:
            self.connection.close()
            raise
        self.connection.setblocking(False)
        self.send(Hello(app_path, settings.store, list(sys.path), list(sys.argv), configured(), blobs))

    @property
    def has_more_to_send(self) -> bool:
        """Whether the connection was full when it was last written to."""
        return bool(self._outbox)

    def start(self, run: Run) -> None:
        """Send it a job."""
        self.jobs += 1
        self.run, self.phase = run, Phase.BUSY
        self.send(Start(self.jobs, run.claimed))

    def send(self, message: ToChild) -> None:
        """Send a message, as far as the connection takes it; the rest waits for `flush`."""
        self._outbox += frame(message)
        self.flush()

    def flush(self) -> None:
        """Send what waits; a child that is gone takes nothing, which `receive` tells."""
        try:
            while self._outbox:
                del self._outbox[: self.connection.send(self._outbox)]
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            self._outbox.clear()

    def receive(self) -> list[Any] | None:
        """Return the messages that are there, None when the child closed the connection; raises `ValueError`."""
        try:
            data = self.connection.recv(_READ_BYTES)
        except BlockingIOError:
            return []
        except ConnectionError:
            return None
        return self._frames.feed(data) if data else None

    def leave(self) -> None:
        """Ask it to end: it leaves its lifespans when the connection closes."""
        self.phase = Phase.LEAVING
        with suppress(OSError):  # it may be gone already
            self.connection.shutdown(socket.SHUT_WR)

    def kill(self) -> None:
        """Kill it with everything that it started; `is_reaped` tells when it is gone."""
        self.phase = Phase.DYING
        self.kill_descendants()
        if self.process.returncode is None:  # until it is reaped, nobody else can have its number
            with suppress(ProcessLookupError, PermissionError):  # macOS refuses a group of the dead
                os.killpg(self.process.pid, signal.SIGKILL)

    def kill_descendants(self) -> None:
        """Kill what its job started, in whatever process group that is."""
        with suppress(psutil.NoSuchProcess):
            for one in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    one.kill()

    def is_reaped(self) -> bool:
        """Reap the process if it has ended, and tell whether it has."""
        return self.process.poll() is not None

    def is_worn(self, settings: Settings) -> bool:
        """Tell whether it ran so many jobs, or grew so large, that another one should take its place."""
        if self.jobs >= settings.child_max_jobs:
            return True
        try:
            return bool(psutil.Process(self.process.pid).memory_info().rss > settings.child_max_memory)
        except psutil.NoSuchProcess:
            return False

    def answer(self, stack: str) -> None:
        """Answer those who asked where its job is."""
        for asker in self.askers:
            asker.put(stack)
        self.askers.clear()

    def how_it_ended(self) -> str:
        """Return in words how the process, which is reaped, ended."""
        code = self.process.returncode
        if code >= 0:
            return f"the process died with exit code {code}"
        try:
            return f"the process died with signal {signal.Signals(-code).name} ({-code})"
        except ValueError:
            return f"the process died with signal {-code}"


class ForwardedLog(JobLog):
    """The log of an attempt that runs in a child, as the child last sent it."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._text = ""

    def put(self, text: str) -> None:
        """Take the whole log anew."""
        self._text = text
        self.is_changed = True

    def text(self) -> str:
        """Return the lines."""
        self.is_changed = False
        return self._text


def keep_note(run: Run, note: Note) -> None:
    """Keep what a child said of its job, where the worker stores it from."""
    if note.progress is not None:
        run.progress_text = note.progress
    if note.log is not None:
        if not isinstance(run.joblog, ForwardedLog):
            run.joblog = ForwardedLog(run.clock)
        run.joblog.put(note.log)


def _start(descriptor: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "lineshaft.worker.child", str(descriptor), str(os.getpid())],
        stdin=subprocess.DEVNULL,
        pass_fds=[descriptor],
        env={**os.environ, CHILD_VARIABLE: "1"},
        start_new_session=True,
    )
