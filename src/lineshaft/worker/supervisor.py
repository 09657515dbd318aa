"""Several worker processes under one: starts them, starts anew those that die, and stops them in good order.

It never imports the app and never forks: each worker process is a fresh Python, and what breaks there stays there.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from lineshaft.clock import Clock
from lineshaft.worker import link, notify
from lineshaft.worker.health import Health, State
from lineshaft.worker.link import LinkEnd, Order, Report
from lineshaft.worker.signals import STOP_SIGNALS

_log = logging.getLogger("lineshaft.supervisor")

RECYCLE: Final = 75
"""The exit code (sysexits.h: try again) of a worker process that wants to be started anew."""
DRAINED: Final = 76
"""The exit code of a worker process under a supervisor that was told to drain: it is not started again."""
_CANNOT_START: Final = (1, 2)
_KILL_AFTER_GRACE: Final = 10.0
_LONGEST_BACKOFF: Final = 30.0
_STABLE_SECONDS: Final = 30.0
_DEFAULT_GRACE: Final = 25.0
_STALE_SECONDS: Final = 5.0
_READ_BYTES: Final = 4096


class Child:
    """One place for a worker process, and the process that fills it at the moment."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: subprocess.Popen[bytes] | None = None
        self.link: LinkEnd | None = None
        self.report: Report | None = None
        self.failures = 0
        self.started_at = 0.0
        self.start_at: float | None = None
        """When to start it anew; None while it runs or will not be started again."""
        self.is_drained = False
        """Whether it ended because somebody asked that of it through the store; it stays away."""

    @property
    def state(self) -> State:
        """How the worker process is."""
        return self.report.state if self.report is not None else "starting"

    def order(self, order: Order) -> None:
        """Tell the worker process to stop; by a signal where a job of it has closed the link."""
        if self.link is not None:
            self.link.order(order)
        elif self.process is not None:
            self.process.terminate()

    def cut_link(self) -> None:
        """Close what is left of the link."""
        if self.link is not None:
            self.link.close()
            self.link = None

    def back_off(self, now: float) -> float:
        """Note a failure and return the seconds to wait: none, then 1 s, 2 s, 4 s … 30 s while it keeps failing."""
        self.failures = 1 if now - self.started_at >= _STABLE_SECONDS else self.failures + 1
        return 0.0 if self.failures == 1 else float(min(2.0 ** (self.failures - 2), _LONGEST_BACKOFF))


class Supervisor:
    """Keeps `count` processes of a command running until it is told to stop; `run` is called in the main thread.

    `on_change` hears when their health changed; `beat_seconds` has the loop turn that often, for those who watch it.
    """

    def __init__(
        self,
        command: Sequence[str],
        count: int,
        clock: Clock,
        *,
        on_change: Callable[[Health], None],
        beat_seconds: float | None = None,
        adopts_orphans: bool = False,
    ) -> None:
        self._command, self._clock = list(command), clock
        self._children = [Child(number) for number in range(1, count + 1)]
        self._on_change, self._beat_seconds, self._adopts_orphans = on_change, beat_seconds, adopts_orphans
        self._selector = selectors.DefaultSelector()
        self._was_ready = False
        self._stops = 0
        self._kill_at: float | None = None
        self._turned_at = clock.monotonic()
        self._exit_code = 0
        self._told: Health | None = None

    # --- what others may ask ---------------------------------------------------------------------------------------

    def health(self) -> Health:
        """Return how the processes are together; from any thread."""
        reports = [child.report for child in self._children]
        is_live = all(report is None or report.live for report in reports) and not self._is_stuck()
        states = {str(child.number): child.state for child in self._children if not child.is_drained}
        return Health(is_live, self._state(), states)

    def _state(self) -> State:
        states = {child.state for child in self._children if not child.is_drained}
        if self._stops or not states:
            return "draining"
        order: tuple[State, ...] = ("starting", "draining", "away")
        return next((state for state in order if state in states), "ready")

    def _is_stuck(self) -> bool:
        return self._beat_seconds is not None and self._clock.monotonic() - self._turned_at > _STALE_SECONDS

    # --- the loop --------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Run until every process has ended after a request to stop, and return the exit code.

        Told to drain through the store, each of them ends by itself, and this when all have. 0: all of them ended in
        good order; 1: some had to be killed; else that of the first, when it could not even start.
        """
        with self._signals():
            # The others follow when the first is ready: a wrong setting is told once, a store is created once.
            self._start(self._children[0])
            while not self._is_over():
                for key, _ in self._selector.select(self._wait_seconds()):
                    key.data()
                self._step(self._clock.monotonic())
        self._selector.close()
        return self._exit_code

    def stop(self) -> None:
        """Have all processes stop in good order; the second time at once."""
        grace = max((child.report.grace for child in self._children if child.report), default=_DEFAULT_GRACE)
        if self._stops:
            self._order("stop at once", 0.0)
        else:
            _log.info("stopping: running jobs have %g s to finish; a second signal stops at once", grace)
            self._order("stop", grace)

    def _order(self, order: Order, grace: float) -> None:
        self._stops += 1
        kill_at = self._clock.monotonic() + grace + _KILL_AFTER_GRACE
        self._kill_at = kill_at if self._kill_at is None else min(kill_at, self._kill_at)
        for child in self._children:
            child.start_at = None
            child.order(order)

    def _step(self, now: float) -> None:
        self._turned_at = now
        self._reap()
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                self._ended(child, child.process, now)
            if child.start_at is not None and child.start_at <= now:
                self._start(child)
        if self._kill_at is not None and self._kill_at <= now:
            self._kill_rest()
        self._tell()

    def _is_over(self) -> bool:
        return all(child.is_drained or (self._stops > 0 and child.process is None) for child in self._children)

    def _wait_seconds(self) -> float | None:
        due = [child.start_at for child in self._children if child.start_at is not None]
        due += [self._kill_at] if self._kill_at is not None else []
        waits = [max(0.0, at - self._clock.monotonic()) for at in due]
        return min([*waits, *([self._beat_seconds] if self._beat_seconds else [])], default=None)

    def _tell(self) -> None:
        health = self.health()
        if health != self._told:
            self._told = health
            self._on_change(health)

    # --- the processes ---------------------------------------------------------------------------------------------

    def _start(self, child: Child) -> None:
        now = self._clock.monotonic()
        child.report, child.start_at, child.started_at = None, None, now
        child.link = LinkEnd()
        try:
            child.process = self._spawn(child.link.their_fd)
        except OSError as error:  # out of memory or processes
            child.cut_link()
            self._start_later(child, f"worker process {child.number} cannot be started: {error}", now)
            return
        child.link.handed_over()
        self._selector.register(child.link.socket, selectors.EVENT_READ, lambda: self._hear(child))

    def _spawn(self, link_fd: int) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C at the terminal reaches this process only, which passes it on once.
        return subprocess.Popen(  # noqa: S603 - our own command
            self._command,
            stdin=subprocess.DEVNULL,
            pass_fds=[link_fd],
            env=_environment(link_fd, len(self._children)),
            start_new_session=True,
        )

    def _hear(self, child: Child) -> None:
        assert child.link is not None
        reports = child.link.reports()
        if reports is None:  # it has ended, or a job has closed every descriptor; its death comes as a signal
            self._selector.unregister(child.link.socket)
            child.cut_link()
            return
        for report in reports:
            child.report = report
            if report.state == "ready" and not self._was_ready:
                self._was_ready = True
                self._start_others()

    def _start_others(self) -> None:
        if not self._stops:
            for other in self._children[1:]:
                other.start_at = self._clock.monotonic()

    def _ended(self, child: Child, process: subprocess.Popen[bytes], now: float) -> None:
        code = process.returncode
        child.process, child.report = None, None
        if child.link is not None:
            self._selector.unregister(child.link.socket)
            child.cut_link()
        if code == DRAINED:
            _log.info("worker process %d was drained and is not started again", process.pid)
            child.is_drained = True
        elif self._stops:
            self._exit_code = self._exit_code or (1 if code else 0)
        elif code in _CANNOT_START and not self._was_ready:
            self._exit_code = code  # it has said why
            self._order("stop", 0.0)
        elif code == RECYCLE:
            _log.info("worker process %d ended to be started anew", process.pid)
            child.start_at = now
        else:
            self._start_later(child, f"worker process {process.pid} ended {_how(code)}", now)

    @staticmethod
    def _start_later(child: Child, why: str, now: float) -> None:
        wait = child.back_off(now)
        _log.error("%s; it is started again %s", why, f"in {wait:g} s" if wait else "now")
        child.start_at = now + wait

    def _kill_rest(self) -> None:
        self._kill_at = None
        for child in self._children:
            if child.process is not None:
                _log.error("worker process %d did not stop in time and is killed", child.process.pid)
                with suppress(ProcessLookupError):
                    os.killpg(child.process.pid, signal.SIGKILL)

    def _reap(self) -> None:
        """Collect orphans that the kernel gave to this process, as it does to process 1 of a container."""
        while self._adopts_orphans:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                return
            mine = [one.process for one in self._children if one.process and one.process.pid == found.si_pid]
            if mine:
                mine[0].wait()
            else:
                os.waitpid(found.si_pid, 0)

    # --- signals ---------------------------------------------------------------------------------------------------

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Turn signals into bytes that the loop reads: nothing happens inside a handler."""
        read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if sys.platform == "linux" else _pipe()
        wakeup_before = signal.set_wakeup_fd(write_end)
        handlers = {number: signal.signal(number, _ignore) for number in (*STOP_SIGNALS, signal.SIGCHLD)}
        self._selector.register(read_end, selectors.EVENT_READ, lambda: self._take_signals(read_end))
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup_before)
            self._selector.unregister(read_end)
            os.close(read_end)
            os.close(write_end)

    def _take_signals(self, read_end: int) -> None:
        for number in os.read(read_end, _READ_BYTES):
            if number in STOP_SIGNALS:
                self.stop()


def _pipe() -> tuple[int, int]:
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends


def _ignore(_number: int, _frame: object) -> None:
    """Stand for a handler: the wake-up pipe is only written for signals that have one."""


def _environment(fd: int, count: int) -> Mapping[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in notify.VARIABLES}
    return inherited | {link.VARIABLE: f"{fd},{os.getpid()},{count}"}


def _how(code: int) -> str:
    if code >= 0:
        return f"with exit code {code}"
    try:
        return f"by signal {signal.Signals(-code).name} ({-code})"
    except ValueError:
        return f"by signal {-code}"
