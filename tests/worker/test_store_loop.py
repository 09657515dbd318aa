"""The round that claims: who does it."""

from __future__ import annotations

import threading
from queue import Queue

from lineshaft import Lineshaft
from tests.plugins.apps import LIMIT, StartWorker


def test_who_hears_a_wake_up_claims(app: Lineshaft, start_worker: StartWorker) -> None:
    """The thread that hears of a job claims it for an idle worker, without waking another thread first."""
    claimers: Queue[str] = Queue()
    app.on("started")(lambda _: claimers.put(threading.current_thread().name))

    @app.task(name="nothing")
    def nothing() -> None:
        """Do nothing."""

    start_worker(app, {"default": 1})
    seen: set[str] = set()
    for _ in range(100):  # the store thread has rounds of its own, which may come first
        nothing.enqueue().result(LIMIT)
        seen.add(claimers.get(timeout=LIMIT))
        if "lineshaft-listener" in seen:
            break
    assert "lineshaft-listener" in seen
