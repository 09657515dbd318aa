"""How a child process dies with its worker, and what it started dies with it.

The kernel kills the child when its worker dies (Linux; elsewhere the end of the connection tells it). A guard, a
process that only waits, kills the child's group when the child is gone, so that a program that a job started does
not run on beside the job's next attempt.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_GET_CHILD_SUBREAPER: Final = 37


def die_with(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends; `parent` is that thread's process."""
    _signal_at_parents_death(signal.SIGKILL)
    if os.getppid() != parent:  # it died before the request was made
        os._exit(1)


def adopts_orphans() -> bool:
    """Tell whether the kernel gives this process orphans to reap: process 1 of a container, or a child subreaper."""
    if sys.platform != "linux":
        return os.getpid() == 1
    is_subreaper = ctypes.c_int(0)
    ctypes.CDLL(None).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(is_subreaper), 0, 0, 0)
    return os.getpid() == 1 or bool(is_subreaper.value)


def kill_group() -> None:
    """Kill this process and all of its group."""
    os.killpg(os.getpgrp(), signal.SIGKILL)


class Guard:
    """A process that kills its group when this one, its parent, is gone.

    Forked before this process starts threads; `close_fds` are those that it must not hold open.
    """

    def __init__(self, *close_fds: int) -> None:
        parent = os.getpid()
        # What this process alone keeps open: it closes at its death, however it dies.
        read_end, self._alive = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            for fd in (self._alive, *close_fds):
                os.close(fd)
            _stand_guard(parent, read_end)
        os.close(read_end)

    def dismiss(self) -> None:
        """Kill what jobs have left in this group, then end the guard and reap it; called as this process ends in order.

        Its worker may have been killed: then nobody else would, for the guard is gone before this process is.
        """
        _kill_others_of_group(self._pid)
        with suppress(ProcessLookupError, ChildProcessError):  # a job may have waited for every child there is
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._alive)


def _kill_others_of_group(guard: int) -> None:
    import psutil  # not needed at the start of a child

    group = os.getpgrp()
    for pid in set(psutil.pids()) - {os.getpid(), guard}:
        with suppress(ProcessLookupError, PermissionError):
            if os.getpgid(pid) == group:
                os.kill(pid, signal.SIGKILL)


def _stand_guard(parent: int, read_end: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A process that a job forked may hold the pipe open; on Linux the kernel tells of the death all the same.
    signal.signal(signal.SIGTERM, lambda *_: kill_group())
    _signal_at_parents_death(signal.SIGTERM)
    if os.getppid() == parent:
        os.read(read_end, 1)
    kill_group()


def _signal_at_parents_death(number: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
