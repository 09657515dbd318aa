# ruff: noqa: D102 - the methods of locks and events are those of `threading`
"""Threads that are no threads: greenlets under a seeded scheduler, in simulated time.

The worker's own code waits on events, conditions and locks; `Threading` stands in its modules for the standard
`threading` and gives it simulated ones. Only one greenlet runs at a time and gives way only where it waits, so a run is
a function of its seed.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, Final, Self

from greenlet import GreenletExit, getcurrent, greenlet

SECOND: Final = 1_000_000


class Thread:
    """One simulated thread; `host` is the process that it lives and dies with."""

    def __init__(
        self,
        target: Callable[..., None] | None = None,
        *,
        schedule: Schedule,
        host: Process | None,
        args: tuple[Any, ...] = (),
        name: str = "",
        daemon: bool = True,  # noqa: ARG002 - the signature of the real one
    ) -> None:
        self.name, self.schedule, self.host = name, schedule, host
        self._target, self._args = target, args
        self._greenlet: greenlet | None = None
        self._is_started = False
        self._ended: list[Thread] = []
        self.token = 0
        """Counts its waits, so that a timer of an earlier one wakes nobody."""
        self.was_timed_out = False

    def start(self) -> None:
        """Let it run from now on."""
        self._greenlet = greenlet(self._run, parent=self.schedule.hub)
        self._greenlet.thread = self  # type: ignore[attr-defined]
        self._is_started = True
        if self.host is not None:
            self.host.threads.append(self)
        self.schedule.make_ready(self)

    def switch(self) -> None:
        """Run it until it waits; called by the scheduler."""
        assert self._greenlet is not None
        self._greenlet.switch()

    def is_alive(self) -> bool:
        """Tell whether it runs."""
        return self._is_started and self._greenlet is not None and not self._greenlet.dead

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        if self.is_alive():
            self.schedule.block(self._ended, timeout)

    def kill(self) -> None:
        """End it where it waits, as the end of its process does."""
        if self._greenlet is not None and not self._greenlet.dead:
            self.token += 1
            self._greenlet.parent = getcurrent()
            self._greenlet.throw(GreenletExit)

    def _run(self) -> None:
        assert self._target is not None
        self._target(*self._args)
        self.schedule.wake_all(self._ended)


class Process:
    """What threads live and die with."""

    def __init__(self) -> None:
        self.threads: list[Thread] = []
        self.parked: list[Thread] = []
        """Those that would run if the process were not paused."""
        self.is_dead = self.is_paused = False


class Schedule:
    """Runs one thread after the other, picked by the seed; time passes when all of them wait."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 - a simulation
        self.now = 1_800_000_000 * SECOND
        self.set_by = 0
        """Microseconds by which somebody has set the machine's time of day."""
        self.hub = getcurrent()
        self.switches = 0
        self._ready: list[Thread] = []
        self._timers: list[tuple[int, int, Thread, int]] = []
        self._count = 0

    @property
    def wall(self) -> int:
        """The time of day, which may be set; timers do not go by it."""
        return self.now + self.set_by

    @property
    def current(self) -> Thread | None:
        """The thread that runs."""
        return getattr(getcurrent(), "thread", None)

    def make_ready(self, thread: Thread) -> None:
        """Let a thread go on when its turn comes."""
        thread.token += 1
        self._ready.append(thread)

    def run(self, is_over: Callable[[], bool], until: int) -> None:
        """Run threads until `is_over()` or the time comes."""
        ready, pick = self._ready, self.random.random
        while not is_over():
            if ready:
                at = int(pick() * len(ready))
                ready[at], ready[-1] = ready[-1], ready[at]
                self._resume(ready.pop())
            elif not self._pass_time(until):
                return

    def _resume(self, thread: Thread) -> None:
        host = thread.host
        if host is not None and host.is_paused:
            host.parked.append(thread)
        elif thread.is_alive() and (host is None or not host.is_dead):
            self.switches += 1
            thread.switch()

    def _pass_time(self, until: int) -> bool:
        if not self._timers or self._timers[0][0] > until:
            self.now = until
            return False
        at, _, thread, token = heapq.heappop(self._timers)
        self.now = max(self.now, at)
        if thread.token == token:
            thread.was_timed_out = True
            self.make_ready(thread)
        return True

    def block(self, waiters: list[Thread], timeout: float | None) -> bool:
        """Wait until somebody wakes the list, at most for `timeout` seconds; tell whether somebody did."""
        me = self.current
        assert me is not None, "only simulated threads wait"
        if me.host is not None and me.host.is_dead:
            raise GreenletExit  # what its `finally` blocks would still wait for does not come
        me.was_timed_out = False
        waiters.append(me)
        if timeout is not None:
            self._count += 1
            at = self.now + max(0, round(timeout * SECOND))
            heapq.heappush(self._timers, (at, self._count, me, me.token))
        self.hub.switch()
        if me.was_timed_out and me in waiters:
            waiters.remove(me)
        return not me.was_timed_out

    def sleep(self, seconds: float) -> None:
        """Let simulated time pass for this thread."""
        self.block([], seconds)

    def give_way(self) -> None:
        """Let others run first, if the seed says so."""
        me = self.current
        if me is not None:
            self.make_ready(me)
            self.hub.switch()

    def wake_all(self, waiters: list[Thread]) -> None:
        """Let all that wait in a list go on."""
        woken, waiters[:] = waiters[:], []
        for one in woken:
            self.make_ready(one)


class Event:
    """As `threading.Event`."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._is_set = False
        self._waiters: list[Thread] = []

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        self._schedule.wake_all(self._waiters)

    def clear(self) -> None:
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        if not self._is_set:
            self._schedule.block(self._waiters, timeout)
        return self._is_set


class Lock:
    """As `threading.RLock`, and where nobody takes it twice as `threading.Lock`."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._owner: Thread | None = None
        self._depth = 0
        self._waiters: list[Thread] = []

    def acquire(self, blocking: bool = True) -> bool:  # noqa: FBT001, FBT002 - the signature of the real one
        me = self._schedule.current
        while self._depth and self._owner is not me:
            if not blocking:
                return False
            self._schedule.block(self._waiters, None)
        self._owner, self._depth = me, self._depth + 1
        return True

    def release(self) -> None:
        self._depth -= 1
        if not self._depth:
            self._owner = None
            self._schedule.wake_all(self._waiters)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Condition:
    """As `threading.Condition`."""

    def __init__(self, schedule: Schedule, lock: Lock | None = None) -> None:
        self._schedule = schedule
        self._lock = lock or Lock(schedule)
        self._waiters: list[Thread] = []

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def notify(self) -> None:
        self.notify_all()

    def notify_all(self) -> None:
        self._schedule.wake_all(self._waiters)

    def wait(self, timeout: float | None = None) -> bool:
        self._lock.release()
        try:
            return self._schedule.block(self._waiters, timeout)
        finally:
            self._lock.acquire()

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        until = None if timeout is None else self._schedule.now + round(timeout * SECOND)
        while not predicate():
            left = None if until is None else (until - self._schedule.now) / SECOND
            if left is not None and left <= 0:
                return predicate()
            self.wait(left)
        return True


class Threading:
    """What stands for the module `threading`; a thread made by a thread of a process belongs to that process."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def Thread(self, *, target: Callable[..., None], **options: Any) -> Thread:  # noqa: N802 - the real name
        me = self._schedule.current
        return Thread(target, schedule=self._schedule, host=me.host if me else None, **options)

    def Event(self) -> Event:  # noqa: N802 - the real name
        return Event(self._schedule)

    def Lock(self) -> Lock:  # noqa: N802 - the real name
        return Lock(self._schedule)

    RLock = Lock

    def Condition(self, lock: Lock | None = None) -> Condition:  # noqa: N802 - the real name
        return Condition(self._schedule, lock)

    def current_thread(self) -> Thread | None:
        return self._schedule.current


@contextmanager
def replaced(where: Any, name: str, value: Any) -> Iterator[None]:
    """Let an attribute be another one for the length of the block."""
    before = getattr(where, name)
    setattr(where, name, value)
    try:
        yield
    finally:
        setattr(where, name, before)
