"""The effect points of a worker's cycle: a process passes them by name, and may be made to die at one.

Everything is wrapped from outside; the product knows nothing of it. A point is passed before and after each statement
that writes, after each commit, around each attempt in each lane, as an outcome is delivered, and around each wake-up.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil
from history import Kind, Recorder

from lineshaft.engines.postgres.engine import PostgresEngine
from lineshaft.engines.postgres.transaction import PostgresTx
from lineshaft.engines.sqlite.apart import ApartTx
from lineshaft.engines.sqlite.doorbell import SocketDoorbell
from lineshaft.engines.sqlite.engine import SqliteEngine
from lineshaft.engines.sqlite.transaction import SqliteTx
from lineshaft.features.schedules.scheduler import Scheduler
from lineshaft.worker import ending
from lineshaft.worker import worker as worker_module
from lineshaft.worker.child_run import JobRunner
from lineshaft.worker.finisher import Finisher
from lineshaft.worker.lanes.pool import Pool
from lineshaft.worker.lanes.wire import Ready
from lineshaft.worker.rescuer import Rescuer
from lineshaft.worker.worker import Worker

_WRITES: Final = re.compile(r"\b(insert into|update|delete from) lineshaft", re.IGNORECASE)


class Points:
    """Notes each point that is passed in a file, and calls `act` at the first passing of the one named `target`."""

    def __init__(self, path: str, target: str | None, act: Callable[[], None], prefix: str = "") -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._mark = Path(f"{path}-acted")
        self._target, self._act, self._prefix = target, act, prefix
        self._seen: set[str] = set()
        self._lock = threading.Lock()
        self.role = threading.local()

    def passing(self, name: str) -> None:
        """Pass a point."""
        name = self._prefix + getattr(self.role, "name", "") + name
        with self._lock:
            if name in self._seen:
                return
            self._seen.add(name)
            os.write(self._fd, f"{name}\n".encode())
            if name == self._target and self._is_first():
                self._act()

    def _is_first(self) -> bool:
        """Tell whether no other process has acted: a child that dies has a successor that passes the same points."""
        try:
            self._mark.touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    @contextmanager
    def acting_as(self, role: str) -> Iterator[None]:
        """Name what this thread does in the block: the same statement serves several purposes."""
        before = getattr(self.role, "name", "")
        self.role.name = role
        try:
            yield
        finally:
            self.role.name = before


def die(recorder: Recorder) -> Callable[[], None]:
    """Return an action: the process notes its death, and that of its children with it, and is killed."""

    def act() -> None:
        for one in psutil.Process().children(recursive=True):
            recorder.note(Kind.DIED, worker=one.pid)
        recorder.note(Kind.DIED)
        os.kill(os.getpid(), signal.SIGKILL)

    return act


def install(points: Points) -> None:
    """Wrap engines, lanes, finisher, rescuer and wake-ups of this process."""
    for transaction in (SqliteTx, PostgresTx):
        _wrap_run(transaction, points, _writes)
    # Those of several steps go on to SqliteTx.
    _wrap_run(ApartTx, points, lambda statement: len(statement.sqlite.parts) == 1 and _writes(statement))
    for engine in (SqliteEngine, PostgresEngine):
        _wrap_transaction(engine, points)
        _wrap_apart(engine, points)
    for owner, name, label in (
        (worker_module, "execute", "thread"),
        (JobRunner, "run", "job"),
        (Pool, "_begin", "process: given"),
        (Pool, "_on_ended", "process: ended"),
        (Finisher, "deliver", "outcome"),
        (Worker, "_heard", "wake-up"),
    ):
        _wrap(owner, name, label, points)
    _wrap(SocketDoorbell, "ring", lambda _bell, role, *_: f"ring {role}", points)
    child_main = sys.modules["__main__"]  # a child is started as a program: its classes are those of the main module
    if hasattr(child_main, "Channel"):
        _wrap(child_main.Channel, "send", _message_label, points)
    _wrap_async(points)
    _wrap_role(Rescuer, "_rescue", "rescue ", points)
    _wrap_role(ending, "sign_off", "sign-off ", points)
    _wrap_role(Scheduler, "begin", "begin ", points)
    _wrap_role(Scheduler, "step", "tick ", points)


def _message_label(_channel: Any, message: Any) -> str:
    return "ready" if isinstance(message, Ready) else f"tell {type(message).__name__.lower()}"


def _wrap(owner: Any, name: str, label: str | Callable[..., str], points: Points) -> None:
    original = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        said = label if isinstance(label, str) else label(*args, **kwargs)
        points.passing(f"{said}: before")
        answer = original(*args, **kwargs)
        points.passing(f"{said}: after")
        return answer

    setattr(owner, name, wrapped)


def _wrap_async(points: Points) -> None:
    original = worker_module.aexecute

    async def wrapped(*args: Any) -> Any:
        points.passing("async: before")
        answer = await original(*args)
        points.passing("async: after")
        return answer

    worker_module.aexecute = wrapped


def _wrap_role(owner: Any, name: str, role: str, points: Points) -> None:
    original = getattr(owner, name)

    def wrapped(*args: Any) -> Any:
        with points.acting_as(role):
            return original(*args)

    setattr(owner, name, wrapped)


def _wrap_run(transaction: Any, points: Points, is_meant: Callable[[Any], bool]) -> None:
    original = transaction.run

    def run(self: Any, statement: Any, params: Any, rows: Any = None) -> Any:
        if not is_meant(statement):
            return original(self, statement, params, rows)
        name = statement.name.removesuffix("_from")  # a claim that begins behind the head is a claim
        points.passing(f"{name}: before")
        answer = original(self, statement, params, rows)
        points.passing(f"{name}: after")
        self.__dict__.setdefault("chaos_written", []).append(name)
        return answer

    transaction.run = run


def _wrap_transaction(engine: Any, points: Points) -> None:
    original = engine.transaction

    @contextmanager
    def transaction(self: Any) -> Iterator[Any]:
        with original(self) as tx:
            yield tx
        for name in tx.__dict__.get("chaos_written", ()):
            points.passing(f"{name}: committed")

    engine.transaction = transaction


def _wrap_apart(engine: Any, points: Points) -> None:
    original = engine.write_apart

    def write_apart(self: Any, operation: Any) -> Any:
        written: list[str] = []

        def noting(tx: Any) -> Any:
            found = operation(tx)
            written.extend(tx.__dict__.get("chaos_written", ()))
            return found

        answer = original(self, noting)
        for name in written:
            points.passing(f"{name}: committed")
        return answer

    engine.write_apart = write_apart


def _writes(statement: Any) -> bool:
    return any(_WRITES.search(part) for part in (*statement.sqlite.parts, *statement.postgres.parts))
