"""A place to measure one subject: a fresh store, a client process, and workers on demand."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks import marks
from benchmarks.harness import servers
from benchmarks.harness.environments import SetUpError, python_of
from benchmarks.harness.peers import Subject
from benchmarks.harness.processes import Group, last_line

_BENCHMARKS: Final = Path(__file__).parents[1]
_POLL_SECONDS: Final = 0.05
_START_SECONDS: Final = 60


class StepError(Exception):
    """A step of a measurement failed; the message says how, in one line."""


class Client:
    """The driver process of a peer."""

    def __init__(self, python: Path, stem: str, *, environment: dict[str, str], folder: Path, log: Path) -> None:
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [str(python), "-P", str(_BENCHMARKS / "driver.py"), stem],
                env=environment,
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        self._buffer = b""
        try:
            self._read_answer("import", _START_SECONDS)
        except BaseException:
            self.close()
            raise

    def ask(self, what: str, limit_seconds: float = _START_SECONDS, **fields: Any) -> dict[str, Any]:
        """Have something done and return the answer; raises `StepError` when it fails or takes too long."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": what} | fields).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._ended(what) from error
        return self._read_answer(what, limit_seconds)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _read_answer(self, what: str, limit_seconds: float) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._read_line(what, time.monotonic() + limit_seconds))
        if "error" in answer:
            msg = f"{what}: {last_line(answer['error'])}"
            raise StepError(msg)
        return answer

    def _read_line(self, what: str, deadline: float) -> bytes:
        assert self._process.stdout is not None
        while b"\n" not in self._buffer:
            if not select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                msg = f"{what} took too long"
                raise StepError(msg)
            chunk = os.read(self._process.stdout.fileno(), 1 << 20)
            if not chunk:
                raise self._ended(what)
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _ended(self, what: str) -> StepError:
        return StepError(f"{what}: the client ended: {last_line(self._log.read_text('utf-8', 'replace'))}")


class Bench:
    """One subject with its store, its client and what its jobs note."""

    def __init__(self, subject: Subject, folder: Path, environment: dict[str, str], client: Client) -> None:
        self.subject = subject
        self.client = client
        self._folder = folder
        self._environment = environment
        self._numbers = 0
        self._workers: list[Group] = []
        self.marks = folder
        self.new_marks()

    def new_marks(self) -> None:
        """Let workers started from now on note into a new folder."""
        self.marks = Path(tempfile.mkdtemp(prefix="marks-", dir=self._folder))

    def take_numbers(self, count: int) -> int:
        """Return the first of `count` job numbers that were not used yet."""
        first, self._numbers = self._numbers, self._numbers + count
        return first

    def start_workers(self, processes: int, slots: int) -> Group:
        """Start workers; who calls stops them."""
        commands = self.client.ask("commands", processes=processes, slots=slots, variant=self.subject.variant)
        group = Group(
            commands["commands"],
            environment=self._environment | {"BENCH_MARKS": str(self.marks)},
            folder=self._folder / "work",
            log=self._folder / "workers.log",
        )
        self._workers.append(group)
        return group

    @contextmanager
    def workers(self, processes: int) -> Iterator[Group]:
        """Run workers that note into a new folder, with the slots that serve the subject best, for the block."""
        self.new_marks()
        group = self.start_workers(processes, self.subject.slots)
        try:
            yield group
        finally:
            group.stop()

    def kill_workers(self) -> None:
        """Kill whatever workers are left."""
        for group in self._workers:
            group.kill()

    def await_marks(
        self, group: Group, count: int, limit_seconds: float, *, first_within: float = _START_SECONDS
    ) -> None:
        """Wait until `count` jobs began, or `limit_seconds` have passed since the first one did.

        Raises `StepError` when none begins within `first_within` seconds, or when a worker ends meanwhile.
        """
        if not wait_until(lambda: self._has_marks(group, 1), first_within):
            msg = f"no job began within {first_within:g} s; the worker's last line: {group.last_line()}"
            raise StepError(msg)
        wait_until(lambda: self._has_marks(group, count), limit_seconds)

    def _has_marks(self, group: Group, count: int) -> bool:
        if not group.is_running:
            msg = f"a worker ended: {group.last_line()}"
            raise StepError(msg)
        return marks.count(self.marks) >= count


def wait_until(condition: Callable[[], bool], limit_seconds: float, poll_seconds: float = _POLL_SECONDS) -> bool:
    """Wait until the condition holds; False when the limit passed first."""
    deadline = time.monotonic() + limit_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(poll_seconds)
    return True


@contextmanager
def opened(subject: Subject, running: servers.Servers, root: Path) -> Iterator[Bench]:
    """Set up a subject on a fresh store, prepared; raises `SetUpError` or `StepError`."""
    python = python_of(subject.peer)
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix=f"{subject.name}-", dir=root))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        (folder / "work").mkdir()
        _lend_marks(folder / "path")
        environment = _environment(subject, folder, root) | stack.enter_context(
            _store(subject.peer.store, running, folder)
        )
        try:
            client = Client(
                python,
                subject.peer.file.stem,
                environment=environment,
                folder=folder / "work",
                log=folder / "client.log",
            )
        except StepError as error:
            raise SetUpError(str(error)) from error
        stack.callback(client.close)
        client.ask("prepare")
        bench = Bench(subject, folder, environment, client)
        stack.callback(bench.kill_workers)
        yield bench


@contextmanager
def _store(kind: str, running: servers.Servers, folder: Path) -> Iterator[dict[str, str]]:
    if kind == "Redis":
        with servers.redis(folder) as url:
            yield {"BENCH_REDIS_URL": url}
    elif kind == "PostgreSQL":
        with running.postgres() as url:
            yield {"BENCH_POSTGRES_URL": url}
    else:
        yield {}  # a file in BENCH_FOLDER


def _lend_marks(folder: Path) -> None:
    """Make `marks` importable and nothing else of ours: a `profile.py` would stand before Python's own."""
    folder.mkdir()
    (folder / "marks.py").symlink_to(_BENCHMARKS / "marks.py")


def _environment(subject: Subject, folder: Path, root: Path) -> dict[str, str]:
    """Return the environment of the client and the workers, without what this one's tools have set."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("LINESHAFT_", "PYTHON", "VIRTUAL_"))}
    return kept | {
        "BENCH_FOLDER": str(folder / "work"),
        "BENCH_MARKS": str(folder),
        "TMPDIR": str(root),  # what is left there goes with the run
        "PYTHONPATH": f"{folder / 'path'}{os.pathsep}{subject.peer.file.parent}",
    }
