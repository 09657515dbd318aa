"""The main program of a child process of the process lane: `python -m lineshaft.worker.child FD PARENT`.

It imports the app, enters its lifespans, says that it is ready, and runs one job after the other until the worker
closes the connection. A child whose worker is gone ends at once, together with what its job started.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import traceback
from collections import deque
from queue import SimpleQueue
from typing import Any, Final

from lineshaft.engines.sqlite import SqliteEngine
from lineshaft.worker import joblog, logs
from lineshaft.worker.child_run import JobRunner, Reporter, Work
from lineshaft.worker.kinship import Guard, die_with, kill_group
from lineshaft.worker.lanes.async_ import LoopThread
from lineshaft.worker.lanes.wire import (
    Broken,
    FromChild,
    Hello,
    Ready,
    ShowStack,
    Stack,
    Start,
    Stop,
    ended,
    frame,
    frames_to_child,
)
from lineshaft.worker.lifespan import Lifespans
from lineshaft.worker.loading import CHILD_VARIABLE, ImportStop, load_app
from lineshaft.worker.runtime import Runtime

__all__ = ["ImportStop", "main"]

_READ_BYTES: Final = 1 << 16


class Channel:
    """The child's end of the connection: one thread reads, any thread writes."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._frames = frames_to_child()
        self._waiting: deque[Any] = deque()
        self._lock = threading.Lock()

    def receive(self) -> Any:
        """Return the next message, None when the worker closed the connection or is gone."""
        while not self._waiting:
            try:
                data = self._connection.recv(_READ_BYTES)
            except ConnectionError:
                return None
            if not data:
                return None
            self._waiting.extend(self._frames.feed(data))
        return self._waiting.popleft()

    def send(self, message: FromChild) -> None:
        """Send a message; what a worker that is gone does not take is dropped, the reader ends this process."""
        data = frame(message)
        with self._lock:
            try:
                self._connection.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                return


class Child:
    """The parts of a child process that is ready to run jobs."""

    def __init__(self, channel: Channel, runtime: Runtime) -> None:
        self._channel = channel
        self._todo: SimpleQueue[Work | None] = SimpleQueue()
        self._loop = LoopThread()
        self._lifespans = Lifespans(runtime.lifespans, lambda: self._loop.loop)
        self._reporter = Reporter(channel.send)
        self._runner = JobRunner(runtime, self._loop, self._reporter)

    def enter(self) -> None:
        """Start the threads and enter the lifespans; raises what one of those raises."""
        joblog.install()
        self._loop.start()
        self._lifespans.enter()
        signal.signal(signal.SIGINT, self._runner.on_signal)
        self._reporter.start()
        threading.Thread(target=self._read, name="lineshaft-child-reader", daemon=True).start()

    def serve(self) -> None:
        """Run jobs in this thread until the worker closes the connection."""
        self._channel.send(Ready())
        while (work := self._todo.get()) is not None:
            outcome = self._runner.run(work)
            if work.run is not None:
                self._reporter.flush(work.run)
            signals = None if work.run is None else work.run.signals
            self._channel.send(ended(work.number, outcome, signals))

    def leave(self) -> None:
        """Leave the lifespans."""
        self._lifespans.exit()
        self._loop.close()

    def _read(self) -> None:
        try:
            while (message := self._channel.receive()) is not None:
                self._obey(message)
        finally:
            if self._runner.is_busy:  # nobody is left to take the job's outcome
                kill_group()
            self._todo.put(None)

    def _obey(self, message: Start | Stop | ShowStack) -> None:
        match message:
            case Start(number, claimed):
                self._todo.put(self._runner.take(number, claimed))
            case Stop(number, cause):
                self._runner.stop(number, cause)
            case ShowStack(number):
                self._channel.send(Stack(number, self._runner.stack()))


def main(argv: list[str]) -> int:
    """Work until the worker closes the connection; `argv`: the connection's descriptor, the worker's process id."""
    descriptor, parent = int(argv[1]), int(argv[2])
    die_with(parent)
    # Not ignored: what a job starts would inherit that. A terminal's Ctrl-C is for the worker, which tells its jobs.
    signal.signal(signal.SIGINT, lambda *_: None)
    # Service managers send SIGTERM to every process of a service; it is the worker that tells its children to stop.
    signal.signal(signal.SIGTERM, lambda *_: None)
    guard = Guard(descriptor)
    connection = socket.socket(fileno=descriptor)
    try:
        return _work(Channel(connection))
    finally:
        guard.dismiss()
        connection.detach()  # the descriptor stays open until the process is gone: its end tells the worker so


def _work(channel: Channel) -> int:
    hello = channel.receive()
    if hello is None:
        return 1
    try:
        child = Child(channel, _load(hello))
        child.enter()
    except BaseException as error:  # noqa: BLE001 - whatever the app's module raises is told to the worker
        channel.send(Broken(_last_line(error), "".join(traceback.format_exception(error))))
        return 1
    child.serve()
    child.leave()
    return 0


def _load(hello: Hello) -> Runtime:
    sys.path[:], sys.argv[:] = hello.sys_path, hello.argv
    if hello.log is not None:
        logs.configure(*hello.log)
    try:
        app = load_app(hello.app_path)
        app.load_imports()
    finally:
        os.environ.pop(CHILD_VARIABLE, None)  # a script that a job starts may run a worker of its own
    if app.settings.store != hello.store:  # the worker was told to use another one than the app names
        app.use_store(hello.store)
    if hello.blobs is not None:
        app.use_blobs(hello.blobs)
    runtime: Runtime = app.runtime(is_child=True)
    if isinstance(runtime.engine, SqliteEngine) and runtime.engine.is_ephemeral:
        runtime.engine.out_of_reach = "a child process cannot reach a store in its worker's memory; use sqlite:///FILE"
    return runtime


def _last_line(error: BaseException) -> str:
    return traceback.format_exception_only(error)[-1].strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv))
