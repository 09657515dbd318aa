"""A PostgreSQL server that restarts, or crashes, under load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from lineshaft import Lineshaft, State
from lineshaft.errors import StoreUnavailableError
from tests.plugins.apps import StartProcess, eventually
from tools.temporary_postgres import StopMode, TemporaryPostgres

JOBS = 300


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_restart_under_load_loses_nothing(
    mode: StopMode,
    own_postgres_server: Callable[..., TemporaryPostgres],
    make_app: Callable[..., Lineshaft],
    worker_process: StartProcess,
) -> None:
    """Across a restart of the server, stored jobs all complete, and jobs that outlast it are started exactly once."""
    server = own_postgres_server()
    app = make_app(server.url, silence="3s", heartbeat="1s")
    workers = [worker_process(server.url, "hold", silence="3s", heartbeat="1s") for _ in range(2)]
    long = [app.enqueue("work.hold", f"long{n}", "after") for n in range(4)]
    short = [app.enqueue("work.hold", f"short{n}", "during") for n in range(4)]
    eventually(lambda: sum(worker.count("start") for worker in workers) == len(long) + len(short))
    load = app.enqueue_many([app._intake.by_name("work.quick", [f"q{n}"], {}) for n in range(JOBS)])
    server.stop(mode)
    for worker in workers:
        worker.say("during")
    eventually(lambda: sum(worker.count("end short") for worker in workers) == len(short))
    server.start()
    late = app.enqueue("work.quick", "late")
    for job in (*short, *load, late):
        job.result(20)
    assert {job.refresh().state for job in long} == {State.RUNNING}
    for worker in workers:
        worker.say("after")
    assert [job.result(20) for job in long] == [f"long{n}" for n in range(4)]
    for worker in workers:
        worker.kill()
    started = Counter(line for worker in workers for line in worker.all_lines() if line.startswith("start"))
    assert started == Counter(f"start {kind}{n} 1" for kind in ("long", "short") for n in range(4))


def test_enqueue_waits_for_a_store_that_comes_back(
    own_postgres_server: Callable[..., TemporaryPostgres], make_app: Callable[..., Lineshaft]
) -> None:
    """`enqueue` during an outage raises `StoreUnavailableError` once its patience is over, and works again after it."""
    server = own_postgres_server()
    app = make_app(server.url, patience="0.3s")
    app.enqueue("shop.render", 1)
    server.stop("fast")
    with pytest.raises(StoreUnavailableError):
        app.enqueue("shop.render", 2)
    server.start()
    app.enqueue("shop.render", 3)
    assert sorted(job.args[0][0] for job in app.jobs.list()) == [1, 3]
