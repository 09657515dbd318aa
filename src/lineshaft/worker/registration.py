"""A worker's row in the store: it is made at the start and gone after an orderly end."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

from lineshaft.engines.base import Engine, Tx
from lineshaft.errors import StoreError
from lineshaft.outcomes import Interrupted
from lineshaft.store.finish import write_transitions
from lineshaft.store.grants import declare_worker, revoke_worker
from lineshaft.store.lead import resign_lead
from lineshaft.store.upkeep import ensure_history, orphans, register_worker, remove_worker, set_draining
from lineshaft.transitions import decide
from lineshaft.worker.runtime import Runtime

_log = logging.getLogger("lineshaft.worker")


def register(runtime: Runtime, queues: Mapping[str, int], version: str) -> int:
    """Store a row for a new incarnation and return its number, which is never used twice."""
    engine = runtime.engine
    tasks = sorted(task.name for task in runtime.tasks)
    now = engine.clock.now()
    engine.write(lambda tx: ensure_history(tx, now=now, longest=runtime.retention.longest))

    def appear(tx: Tx) -> int:
        worker = register_worker(
            tx, host=socket.gethostname(), pid=os.getpid(), version=version, queues=queues, tasks=tasks, now=now
        )
        declare_worker(tx, worker, queues)
        return worker

    return engine.write(appear)


def say_draining(engine: Engine, worker: int) -> None:
    """Let others see that the worker takes no more jobs, and lead in its place at once if it led."""

    def leave_the_field(tx: Tx) -> None:
        set_draining(tx, worker=worker)
        resign_lead(tx, worker)

    try:
        engine.write(leave_the_field)
    except StoreError as error:
        _log.warning("worker %d stops without telling the store: %s", worker, error)


def sign_off(engine: Engine, worker: int) -> None:
    """Delete the worker's row, and first give back what it still holds: rescue looks for rows, not for jobs."""

    def give_back(tx: Tx) -> int:
        now = engine.clock.now()
        held = [decide(one.held, Interrupted(), now) for one in orphans(tx, worker)]
        return len(write_transitions(tx, [one for one in held if one], worker=worker, now=now, keep=lambda _: now))

    def leave(tx: Tx) -> None:
        revoke_worker(tx, worker)
        remove_worker(tx, worker)
        resign_lead(tx, worker)

    try:
        while engine.write(give_back):
            continue
        engine.write(leave)
    except StoreError as error:
        _log.warning("worker %d could not sign off; others will notice: %s", worker, error)
