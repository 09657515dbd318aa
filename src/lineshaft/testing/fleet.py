"""A few worker processes under faults: killed, paused, stopped and started again, as a seed says."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from lineshaft.clock import Clock
from lineshaft.errors import LineshaftError
from lineshaft.transitions import UNFINISHED, State
from lineshaft.worker_process import sigterm_as_exit

if TYPE_CHECKING:
    from lineshaft import Lineshaft

_PAUSES: Final = (0.5, 2.0, 8.0)
_BETWEEN_SECONDS: Final = 1.5
_STOP_SECONDS: Final = 30.0
_HEALING_SECONDS: Final = 90.0
_LOOK_SECONDS: Final = 0.2
# What is still waiting for a time that lies ahead has not been lost.
_UNDER_WAY: Final = sorted(UNFINISHED - {State.SCHEDULED, State.RETRYING, State.BLOCKED, State.WAITING})


@dataclass(frozen=True, slots=True)
class FleetReport:
    """What happened: faults by kind, and the jobs of the store that ended meanwhile by state."""

    seed: int
    faults: dict[str, int]
    jobs: dict[str, int]
    unfinished: int
    """Jobs that were due and had not ended a minute and a half after the last fault."""


class Fleet:
    """Worker processes of one app; `rate` is the share of their store calls that fail."""

    def __init__(
        self, app: Lineshaft, path: str, queues: str | None, processes: int, *, seed: int, rate: float, folder: Path
    ) -> None:
        self._app, self._path, self._queues = app, path, queues
        self._seed, self._rate, self._log = seed, rate, folder / "workers.log"
        self._random = random.Random(seed)  # noqa: S311 - repeatable faults, no secret
        self._clock: Clock = app.runtime().engine.clock
        self._faults: Counter[str] = Counter()
        self._slots: list[subprocess.Popen[bytes] | None] = [None] * processes
        self._resume_at: dict[int, float] = {}

    def run(self, seconds: float) -> FleetReport:
        """Disturb workers for so long, then let as many without faults finish what is left, and report.

        Raises `LineshaftError` when these end by themselves.
        """
        before = self._ended()
        with sigterm_as_exit():
            self._disturb_for(seconds)
            unfinished = self._heal()
        jobs = {state: count - before[state] for state, count in self._ended().items() if count > before[state]}
        return FleetReport(self._seed, dict(sorted(self._faults.items())), jobs, unfinished)

    def _disturb_for(self, seconds: float) -> None:
        until = self._clock.monotonic() + seconds
        try:
            while self._clock.monotonic() < until:
                self._refill()
                self._wait(min(self._random.expovariate(1 / _BETWEEN_SECONDS), until - self._clock.monotonic()))
                self._disturb()
        finally:
            self._end()

    def _ended(self) -> dict[str, int]:
        return {state.value: self._app.jobs.count(state=state) for state in State if state.is_final}

    def _refill(self) -> None:
        for number, process in enumerate(self._slots):
            if process is None or process.poll() is not None:
                self._faults["start"] += 1
                self._slots[number] = self._start(self._random.randrange(2**31), self._rate)

    def _start(self, seed: int, rate: float) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "lineshaft.testing.chaotic_worker", self._path, str(os.getpid())]
        faults = [str(seed), str(rate), self._queues or ""]
        paths = os.pathsep.join(filter(None, sys.path))
        variables = {**os.environ, "LINESHAFT_STORE": self._app.settings.store, "PYTHONPATH": paths}
        with self._log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own command
                [*command, *faults], env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _disturb(self) -> None:
        """Do one thing to one process; those that are paused go on when their time is over."""
        number = self._random.randrange(len(self._slots))
        act: Callable[[int], None] = self._random.choice([self._kill, self._pause, self._stop])
        length = self._random.choice(_PAUSES)
        process = self._slots[number]
        if process is None or process.poll() is not None or number in self._resume_at:
            return
        act(number)
        if act == self._pause:
            self._resume_at[number] = self._clock.monotonic() + length

    def _kill(self, number: int) -> None:
        self._send(number, signal.SIGKILL, "kill")

    def _stop(self, number: int) -> None:
        self._send(number, signal.SIGTERM, "stop")

    def _pause(self, number: int) -> None:
        self._send(number, signal.SIGSTOP, "pause")

    def _send(self, number: int, what: signal.Signals, name: str | None = None) -> None:
        process = self._slots[number]
        assert process is not None
        process.send_signal(what)
        if name is not None:
            self._faults[name] += 1

    def _wait(self, seconds: float) -> None:
        """Wait, and let paused processes go on meanwhile."""
        until = self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > 0:
            due = [number for number, at in self._resume_at.items() if at <= self._clock.monotonic()]
            for number in due:
                del self._resume_at[number]
                self._send(number, signal.SIGCONT)
            self._await_any(min(left, _LOOK_SECONDS))

    def _await_any(self, seconds: float) -> None:
        process = next((one for one in self._slots if one is not None and one.poll() is None), None)
        if process is None:
            return
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            return

    def _end(self) -> None:
        """Stop every process; those that do not end in time are killed."""
        self._resume_at.clear()
        running = [one for one in self._slots if one is not None]
        for one in running:
            one.terminate()
            one.send_signal(signal.SIGCONT)
        for one in running:
            try:
                one.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()

    def _heal(self) -> int:
        """Run workers without faults until nothing is under way, and return how many jobs are left."""
        self._slots = [self._start(0, 0.0) for _ in self._slots]
        until = self._clock.monotonic() + _HEALING_SECONDS
        try:
            while (left := self._app.jobs.count(state=_UNDER_WAY)) and self._clock.monotonic() < until:
                self._refuse_their_end()
                self._wait(_LOOK_SECONDS)
        finally:
            self._end()
        return left

    def _refuse_their_end(self) -> None:
        """Raise `LineshaftError` once no worker is left: nobody would end the jobs that are waited for."""
        codes = [process.poll() for process in self._slots if process is not None]
        if None in codes:
            return
        said = self._log.read_text("utf-8", "replace").splitlines() or ["nothing"]
        msg = f"the workers without faults ended with exit codes {codes} before the jobs did; the last line: {said[-1]}"
        raise LineshaftError(msg)


def hosts_of(store: str) -> list[str]:
    """Return the hosts that a PostgreSQL address names, in its authority or its parameters."""
    parts = urlsplit(store)
    named = [one.rpartition("@")[2] for one in parts.netloc.split(",")]
    given = [
        value for name, value in parse_qsl(parts.query) if name in ("host", "hostaddr") for value in value.split(",")
    ]
    return given or [_without_port(one) for one in named]


def _without_port(text: str) -> str:
    return text[1 : text.index("]")] if text.startswith("[") else text.partition(":")[0]
