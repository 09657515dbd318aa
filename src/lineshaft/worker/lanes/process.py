"""The process lane: each job in a child process that can be killed with everything it started.

A stop reaches the job's code first, as `Cancelled`: at a timeout it has 0.2 s to clean up, after a cancel and at
shutdown 1 s (less, where `stop_patience` is shorter than twice that); then the child is killed. The outcome is
delivered when the job's code has ended or its process is reaped, whichever comes first. A child whose job was
stopped is not used again.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final

from lineshaft.clock import SECOND
from lineshaft.outcomes import Cause
from lineshaft.worker.lanes.base import Deliver, Lane
from lineshaft.worker.lanes.places import Places
from lineshaft.worker.lanes.pool import Pool
from lineshaft.worker.lanes.waiting import Waiting
from lineshaft.worker.run import Run
from lineshaft.worker.runtime import Runtime

_log = logging.getLogger("lineshaft.worker")

_STACK_SECONDS: Final = 1.0
_CLOSE_MARGIN_SECONDS: Final = 2.0


class ProcessLane(Lane):
    """Child processes that take from one shared row of jobs, and the one thread that owns them.

    The thread sleeps until a child speaks or dies, another thread calls, or an alarm is due. It never ends before its
    children: the kernel kills them when the thread that started them ends.
    """

    def __init__(self, queue: str, places: Places, runtime: Runtime, deliver: Deliver) -> None:
        self._queue, self._settings = queue, runtime.settings
        places.join()
        self._waiting = Waiting()
        self._calls: deque[Callable[[], None]] = deque()
        self._selector = selectors.DefaultSelector()
        self._bell, self._ears = socket.socketpair()
        self._bell.setblocking(False)
        self._ears.setblocking(False)
        self._selector.register(self._ears, selectors.EVENT_READ, self._hear)
        self._pool = Pool(queue, places, self, runtime, deliver, self._waiting, self._selector)
        self._thread = threading.Thread(target=self._work, name=f"lineshaft-{queue}-processes", daemon=True)
        self._thread.start()

    def submit(self, runs: Sequence[Run]) -> None:
        """Take jobs and have the lane's thread start them."""
        self._waiting.add(runs)
        self.wake()

    def wake(self) -> None:
        """Have the lane's thread start what it can."""
        self._call(self._pool.fill)

    def foremost(self) -> Run | None:
        """Return the job that waits in front."""
        return self._waiting.first()

    def stop(self, run: Run, cause: Cause) -> None:
        """Have `Cancelled` raised in the job, and its process killed if that does not end it soon."""
        self._call(partial(self._pool.stop, run, cause))

    def replace(self, run: Run) -> None:
        """Let another child be started beside one that even a kill did not end."""
        self._call(partial(self._pool.replace, run))

    def stack_of(self, run: Run) -> str:
        """Return what the child says of where the job is; waits for its answer for up to a second."""
        answer: SimpleQueue[str] = SimpleQueue()
        self._call(partial(self._pool.ask_stack, run, answer))
        try:
            return answer.get(timeout=_STACK_SECONDS)
        except Empty:
            return "the child process does not answer: its code does not come back to Python\n"

    def withdraw(self) -> list[Run]:
        """Take back what has not started."""
        return self._waiting.withdraw()

    def close(self) -> None:
        """End the children and reap them: idle ones leave their lifespans, one that still runs a job is killed."""
        self._call(self._pool.close)
        self._thread.join(self._settings.stop_patience / SECOND + _CLOSE_MARGIN_SECONDS)

    def _call(self, call: Callable[[], None]) -> None:
        self._calls.append(call)
        with suppress(OSError):  # full: the thread is awake anyway; closed: the lane has ended
            self._bell.send(b"\0")

    def _work(self) -> None:
        while not self._pool.is_ended:
            for key, events in self._selector.select(self._pool.seconds_to_alarm()):
                self._guarded(partial(key.data, events))
            while self._calls:
                self._guarded(self._calls.popleft())
            self._guarded(self._pool.ring_alarms)
        self._selector.close()
        self._bell.close()
        self._ears.close()

    def _guarded(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:  # noqa: BLE001 - the other jobs of the lane go on
            _log.exception("the process lane of queue %s met an error and goes on", self._queue)

    def _hear(self, _events: int) -> None:
        self._ears.recv(4096)
