"""What a job writes in the store's own database happens exactly once, whatever is killed."""

from __future__ import annotations

from collections.abc import Callable

from lineshaft import Lineshaft
from tests.plugins.apps import StartProcess


def test_kill_between_effect_and_finish(
    durable_url: str, make_app: Callable[..., Lineshaft], worker_process: StartProcess
) -> None:
    """A worker killed after a job's transaction block and before its finish leaves no effect; the heir's is the one."""
    app = make_app(durable_url)
    schema = durable_url.rpartition("schema=")[2] if durable_url.startswith("postgres") else ""
    table = f"{schema}.effect" if schema else "effect"
    url = f"{durable_url}&options=-csearch_path%3D{schema}" if schema else durable_url
    with app.transaction() as connection:
        connection.execute(f"create table {table} (name text)")
    doomed = worker_process(url, "hold")
    job = app.enqueue("work.write_once", "effect")
    doomed.expect("wrote")
    doomed.kill()
    worker_process(url, "pass").expect("wrote")
    assert job.result(20) == "effect"
    with app.transaction() as connection:
        assert connection.execute(f"select name from {table}").fetchall() == [("effect",)]
