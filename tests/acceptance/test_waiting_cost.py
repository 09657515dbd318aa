"""What it costs to wait for many jobs at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lineshaft import JobCancelled, Lineshaft, ResultTimeout
from lineshaft.app.watch import Watch
from lineshaft.app.watcher import Watcher
from tests.plugins.apps import LIMIT, Gates

JOBS = 1_000
CPU_SHARE = 0.01
SECONDS = 4


def test_a_thousand_jobs_are_waited_for_by_one_listener(
    durable_url: str, make_app: Callable[..., Lineshaft], gates: Gates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`gather` of 1,000 jobs takes one thread, one listener and, while nothing happens, less than 1 % of a core."""
    app, before = make_app(durable_url), set(threading.enumerate())
    jobs = app.enqueue_many([app._intake.by_name("nobody.runs.this", (number,), {}) for number in range(JOBS)])
    looks, listeners = list[int](), list[str]()
    engine, rest, changed = app._store.engine, Watch.rest, Watcher._changed
    listen = engine.listen

    def note_look(watcher: Watcher, engine: Any, job_ids: Any) -> set[str]:
        looks.append(len(job_ids))
        return changed(watcher, engine, job_ids)

    monkeypatch.setattr(Watcher, "_changed", note_look)
    monkeypatch.setattr(engine, "listen", lambda role: (listeners.append(role), listen(role))[1])
    monkeypatch.setattr(Watch, "rest", lambda watch, seconds: (gates.note("rests"), rest(watch, seconds))[1])
    with ThreadPoolExecutor(1) as thread:
        gathered = thread.submit(app.gather, jobs, timeout=3 * LIMIT, return_exceptions=True)
        gates.next()
        looks.clear()
        began, cpu = time.monotonic(), time.process_time()
        with pytest.raises(ResultTimeout):
            next(app.as_completed([app.jobs.get(jobs[0].id)], timeout=SECONDS))
        seconds, used = time.monotonic() - began, time.process_time() - cpu
        share = used / seconds
        print(f"{engine.dialect}: {share:.2%} of a core, {len(looks)} looks in {seconds:.1f} s")  # noqa: T201 - the figure
        threads = [one.name for one in set(threading.enumerate()) - before if "lineshaft" in one.name]
        seen = list(looks)
        assert app.jobs.cancel(all=True) == JOBS
        assert [type(one) for one in gathered.result(LIMIT)] == [JobCancelled] * JOBS
    assert (threads, listeners) == (["lineshaft-waiter"], ["waiter"])
    assert set(seen) == {JOBS}
    assert len(seen) <= seconds / engine.idle_poll + 1
    assert share < CPU_SHARE
