"""Worker locks on every engine: held for as long as the worker's process lives, and by nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.plugins.engines import WORKER

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft.engines.base import Engine
    from tests.plugins.engines import Child

HOLD = """
from tests.plugins.engines import open_engine
engine = open_engine(sys.argv[1])
lock = engine.hold_worker_lock(7)
lock.renew()
"""
HOLDER = HOLD + "print('held', flush=True)\nsys.stdin.readline()\nlock.release()\nengine.close()\n"
# The forked child lives until its input ends, which its parent's death does not bring about.
FORKING_HOLDER = (
    HOLD
    + """
import os
if not os.fork():
    print('forked', flush=True)
    sys.stdin.readline()
    os._exit(0)
import signal
signal.pause()
"""
)


def dead(engine: Engine, *workers: int) -> list[int]:
    return engine.read(lambda tx: engine.dead_workers(tx, workers))


def dies(engine: Engine, worker: int) -> bool:
    """Ask for a second whether the worker is dead: the server notices a broken connection by itself, soon."""
    until = engine.clock.monotonic() + 1
    while not dead(engine, worker):
        if engine.clock.monotonic() > until:
            return False
    return True


def test_who_holds_its_lock_lives(engine: Engine) -> None:
    """A worker counts as dead exactly while nobody holds its lock."""
    assert dead(engine, WORKER) == [WORKER]
    lock = engine.hold_worker_lock(WORKER)
    lock.renew()
    assert dead(engine, WORKER, 8) == [8]
    lock.release()
    assert dies(engine, WORKER)


def test_renewing_keeps_the_lock_and_names_the_server(engine: Engine) -> None:
    """A lock may be renewed as often as one likes and names the same start of the server each time."""
    lock = engine.hold_worker_lock(WORKER)
    assert len({lock.renew() for _ in range(3)}) == 1
    assert dead(engine, WORKER) == []
    lock.release()
    lock.release()


def test_locks_of_two_stores_do_not_meet(durable_engine: Engine, memory_engine: Engine) -> None:
    """The same worker number in another store is another worker."""
    lock = memory_engine.hold_worker_lock(WORKER)
    assert dead(durable_engine, WORKER) == [WORKER]
    assert dead(memory_engine, WORKER) == []
    lock.release()


@pytest.mark.parametrize("end", ["release", "kill"])
def test_lock_of_another_process(durable_engine: Engine, address: str, child: Callable[..., Child], end: str) -> None:
    """Another process's worker lives while it holds its lock and is dead within a second of its release or SIGKILL."""
    holder = child(HOLDER, address)
    assert holder.line() == "held"
    assert dead(durable_engine, WORKER) == []
    if end == "kill":
        holder.kill()
    else:
        holder.say("release it")
        holder.end()
    assert dies(durable_engine, WORKER)


def test_forked_child_does_not_keep_a_dead_workers_lock(
    durable_engine: Engine, address: str, child: Callable[..., Child]
) -> None:
    """A child that a worker forked outlives it without making it look alive."""
    holder = child(FORKING_HOLDER, address)
    assert holder.line() == "forked"
    assert dead(durable_engine, WORKER) == []
    holder.kill()
    assert dies(durable_engine, WORKER)
