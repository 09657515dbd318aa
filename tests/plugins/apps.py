"""Apps on every store, workers in this process and in others, and what tests watch them with.

`app` runs a test on a SQLite file, on SQLite in memory and on PostgreSQL; `durable_url` leaves memory out, for what
concerns several processes. Tests wait for events with a hard limit; nothing sleeps.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Final

import psutil
import psycopg
import pytest

from lineshaft import Cancelled, Lineshaft
from lineshaft.app.inprocess import InProcessWorker
from lineshaft.config import parse_store
from lineshaft.worker.lanes.thread import ThreadLane

LIMIT: Final = 20.0
"""Seconds that a test waits for what has to come; it usually comes within milliseconds."""
QUICK: Final[dict[str, Any]] = {"heartbeat": "0.1s", "silence": "0.5s", "stop_patience": "0.4s"}
"""Settings that shorten what a test would otherwise wait for."""
_ROOT: Final = Path(__file__).parents[2]
_POLL: Final = 0.005
_NEVER_FREE: Final = threading.Lock()
_NEVER_FREE.acquire()


def unmeasured() -> dict[str, str]:
    """Return the environment without coverage, for workers that run as in service, and for whoever is sent signals.

    What a signal's handler raises may strike inside coverage and leave its lock taken (docs/decisions/0012).
    """
    return {name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_CONFIG"}


@pytest.fixture(scope="session", autouse=True)
def untraced_lanes() -> Iterator[None]:
    """Keep coverage out of the threads in which jobs are stopped.

    The exception that stops a job may strike anywhere, also inside coverage's tracer while that holds its lock: all
    other traced threads would wait for it for ever.
    """
    with pytest.MonkeyPatch.context() as patch:
        work = ThreadLane.work
        patch.setattr(ThreadLane, "work", lambda lane, slot: (sys.settrace(None), work(lane, slot)))
        yield


@pytest.fixture(params=["sqlite", "memory", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a new store, on each engine in turn."""
    return _url(request, tmp_path)


@pytest.fixture(params=["sqlite", "postgres"])
def durable_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a new store that several processes can share, on each engine in turn."""
    return _url(request, tmp_path)


def _url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    match request.param:
        case "sqlite":
            return f"sqlite:///{tmp_path / 'jobs.db'}"
        case "memory":
            return "memory://"
        case _:
            url: str = request.getfixturevalue("postgres_url")
            return url


@pytest.fixture
def make_app() -> Iterator[Callable[..., Lineshaft]]:
    """Makes apps with quick settings that are closed with the test; keywords are `Lineshaft`'s."""
    made: list[Lineshaft] = []

    def make(url: str, **settings: Any) -> Lineshaft:
        made.append(Lineshaft(url, **{**QUICK, **settings}))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def app(store_url: str, make_app: Callable[..., Lineshaft]) -> Lineshaft:
    """An app with quick settings on each engine in turn."""
    return make_app(store_url)


@pytest.fixture
def durable_app(durable_url: str, make_app: Callable[..., Lineshaft]) -> Lineshaft:
    """An app with quick settings on each engine that several processes can share."""
    return make_app(durable_url)


def own_connection(app: Lineshaft) -> AbstractContextManager[Any]:
    """Return a connection of the user's own to an app's store."""
    address = parse_store(app.settings.store)
    if address.kind == "postgres":
        assert address.url
        return psycopg.connect(address.url)
    return closing(sqlite3.connect(str(address.path)))


StartWorker = Callable[..., InProcessWorker]


@pytest.fixture
def start_worker(make_app: Callable[..., Lineshaft]) -> Iterator[StartWorker]:
    """Starts workers of an app in this process, which stop with the test: `start_worker(app, {"default": 1})`."""
    started: list[InProcessWorker] = []

    def start(app: Lineshaft, queues: Any = None, **options: Any) -> InProcessWorker:
        started.append(app.worker(queues, **options).start())
        return started[-1]

    yield start
    for one in started:
        one.stop(grace=0)


class Gates:
    """Named gates that jobs of this process wait at, and notes of who came by; a job held at one can be stopped."""

    def __init__(self) -> None:
        # No event each, made by whoever looks first: two threads that look at once might each make one.
        self._opened: set[str] = set()
        self._are_all_open = False
        self.notes: Queue[Any] = Queue()

    def note(self, what: Any) -> None:
        """Tell the test something."""
        self.notes.put(what)

    def next(self) -> Any:
        """Return the next note; fails the test when none comes."""
        try:
            return self.notes.get(timeout=LIMIT)
        except Empty:
            pytest.fail("no job said anything more")

    def open(self, name: str) -> None:
        """Let everybody through."""
        self._opened.add(name)

    def open_all(self) -> None:
        """Let everybody through every gate."""
        self._are_all_open = True

    def is_open(self, name: str) -> bool:
        """Tell whether the gate is open."""
        return self._are_all_open or name in self._opened

    def wait(self, name: str) -> None:
        """Wait until the gate is open, in steps at which a stopped job stops."""
        deadline = time.monotonic() + LIMIT
        while not self.is_open(name):
            _NEVER_FREE.acquire(timeout=_POLL)  # one step in C: a stop inside `Event.wait` may break its condition
            assert time.monotonic() < deadline, f"gate {name} stayed shut"

    def wait_deaf(self, name: str) -> None:
        """Wait until the gate is open, and give way to a stop that arrived meanwhile only then.

        Not in one call into C: while an exception waits for a thread that is in C, CPython 3.11 stops every other
        thread that is traced, and coverage traces. `tests/acceptance` has a job in C, in a process without coverage.
        """
        stop: Cancelled | None = None
        while not self.is_open(name):
            try:
                self.wait(name)
            except Cancelled as error:
                stop = error
        if stop:
            raise stop


@pytest.fixture
def gates() -> Iterator[Gates]:
    """Gates and notes; every gate opens at the end of the test, so that no job outlives it for long."""
    found = Gates()
    yield found
    found.open_all()


def eventually(is_true: Callable[[], Any], limit: float = LIMIT) -> Any:
    """Ask a store again until its answer is true, and return it: for what no event of this process tells."""
    deadline = time.monotonic() + limit
    pause = threading.Event()
    while not (answer := is_true()):
        assert time.monotonic() < deadline, f"still {answer!r} after {limit:g} s"
        pause.wait(_POLL)
    return answer


class Process:
    """Another Python process, which speaks by lines; each line is kept with the time at which it came."""

    def __init__(self, script: Path, *args: str, folder: Path, **environment: str) -> None:
        self._log = (folder / f"stderr-{time.monotonic_ns()}.log").open("w+")
        self._popen = subprocess.Popen(
            [sys.executable, str(script), *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=folder,
            env={**unmeasured(), "PYTHONPATH": str(_ROOT / "src"), **environment},
        )
        self._lines: Queue[tuple[float, str]] = Queue()
        self.said: list[tuple[float, str]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    def _read(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            self._lines.put((time.monotonic(), line.strip()))
        self._lines.put((time.monotonic(), ""))

    def next(self) -> tuple[float, str]:
        """Return the next line and when it came; fails the test when the process ends or says nothing for long."""
        try:
            at, line = self._lines.get(timeout=LIMIT)
        except Empty:
            pytest.fail(f"process {self.pid} said nothing for {LIMIT:g} s; its errors: {self.errors()}")
        assert line, f"process {self.pid} ended; its errors: {self.errors()}"
        self.said.append((at, line))
        return at, line

    def count(self, start: str) -> int:
        """Return how many lines that start like this came so far."""
        while not self._lines.empty():
            self.said.append(self._lines.get())
        return sum(line.startswith(start) for _, line in self.said)

    def expect(self, start: str) -> tuple[float, str]:
        """Return the next line that starts like this, and when it came."""
        while True:
            at, line = self.next()
            if line.startswith(start):
                return at, line

    def all_lines(self) -> list[str]:
        """Return every line of a process that has ended."""
        self._popen.wait(LIMIT)
        self._reader.join(LIMIT)
        while not self._lines.empty():
            self.said.append(self._lines.get())
        return [line for _, line in self.said if line]

    def say(self, line: str) -> None:
        """Send the process a line."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(line + "\n")
        self._popen.stdin.flush()

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self._popen.send_signal(number)

    def freeze(self, store: str) -> None:
        """Stop the process where it does not hold the one writer of a SQLite store: nobody could write beside it."""
        while True:
            self.send(signal.SIGSTOP)
            eventually(lambda: psutil.Process(self.pid).status() == psutil.STATUS_STOPPED)
            if not store.startswith("sqlite:///") or _may_write(store.removeprefix("sqlite:///")):
                return
            self.send(signal.SIGCONT)

    def kill(self) -> float:
        """Kill the process as the system would, wait until it is gone, and return when the signal was sent."""
        at = time.monotonic()
        self._popen.kill()
        self._popen.wait(LIMIT)
        return at

    def end(self) -> int:
        """Wait for the end of the process and return its exit code."""
        return self._popen.wait(LIMIT)

    def errors(self) -> str:
        """Return what the process wrote to its standard error so far."""
        return Path(self._log.name).read_text()

    def _heirs(self) -> list[str]:
        """Return the processes that this one has started and that still hold its output."""
        assert self._popen.stdout is not None
        return list(_heirs_of(Path(f"/proc/self/fd/{self._popen.stdout.fileno()}").readlink()))

    def close(self) -> None:
        """End the process, whatever it does; fails the test when another one has outlived it."""
        self._popen.kill()
        self._popen.wait(LIMIT)
        self._reader.join(LIMIT)
        assert not self._reader.is_alive(), f"outlive process {self.pid}, and hold its output: {self._heirs()}"
        for pipe in (self._popen.stdin, self._popen.stdout, self._log):
            if pipe is not None:
                pipe.close()


def _heirs_of(pipe: Path) -> Iterator[str]:
    for one in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            folder = Path(f"/proc/{one.pid}/fd")
            if one.pid != os.getpid() and any(fd.readlink() == pipe for fd in folder.iterdir()):
                yield f"{one.pid} of {one.ppid()}, {one.status()}: {one.cmdline()}"


def _may_write(path: str) -> bool:
    connection = sqlite3.connect(path, isolation_level=None, timeout=0.2)
    try:
        connection.execute("begin immediate")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True


StartProcess = Callable[..., Process]


@pytest.fixture
def start_process(tmp_path: Path) -> Iterator[StartProcess]:
    """Starts Python scripts, which end with the test: `start_process(path, "argument", VARIABLE="value")`."""
    started: list[Process] = []

    def start(script: Path, *args: str, **environment: str) -> Process:
        started.append(Process(script, *args, folder=tmp_path, **environment))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def worker_process(start_process: StartProcess) -> StartProcess:
    """Starts workers of `tests/acceptance/work.py` and waits until they are up: `worker_process(url, "mode", lease=…)`.

    The mode is `hold` (jobs named `hold` wait at their gate) or `pass` (they go on at once).
    """
    script = _ROOT / "tests" / "acceptance" / "work.py"

    def start(url: str, mode: str = "pass", queues: str = "default:10", **settings: Any) -> Process:
        process = start_process(script, url, mode, queues, json.dumps({**QUICK, **settings}))
        process.expect("ready")
        return process

    return start
