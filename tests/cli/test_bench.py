"""`bench`: its figures, and what it leaves behind."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.cli.conftest import LIMIT_SECONDS, start

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft import Lineshaft
    from tests.cli.conftest import Ran

SHOP = """
from lineshaft import Lineshaft, Unique

app = Lineshaft("sqlite:///another.db")

@app.task(unique=Unique(), delay="1h", keep_result=False)
def pack(order: int, *, gift: bool = False) -> str:
    return f"{order} {gift}"

@app.task
def fail(order: int) -> None:
    raise ValueError(f"no order {order}")
"""


def scratch_left(address: str, folder: Path) -> list[str]:
    """Schemas and files of the raw limits that are still there."""
    files = [path.name for path in folder.iterdir() if "-bench-" in path.name]
    if not address.startswith("postgres"):
        return files
    with psycopg.connect(address.partition("schema=")[0].rstrip("?&")) as connection:
        found = connection.execute("select nspname from pg_namespace where nspname like 'lineshaft_bench_%'")
        return [name for (name,) in found] + files


def test_bench_measures_and_cleans_up(
    process: Callable[..., Ran], store: Lineshaft, address: str, tmp_path: Path
) -> None:
    """Every figure is measured on real worker processes, and afterwards the store is as before."""
    kept = store.enqueue("shop.render")
    ran = process("bench", "--jobs", "100", "--processes", "2", "--json", "--store", address)
    assert (ran.code, ran.err) == (0, "")
    figures = ran.json
    assert set(figures) == {
        "store", "engine", "task", "single_enqueue", "single_enqueue_latency", "bulk_enqueue", "drains", "pick_up",
        "limits", "limits_missing", "shares", "verdict",
    }  # fmt: skip
    drains = [(one["what"], one["processes"], one["rate"]["count"]) for one in figures["drains"]]
    assert drains == [
        ("def in threads", 1, 200), ("async def", 1, 100), ("def in threads", 2, 200), ("async def", 2, 200),
    ]  # fmt: skip
    for one in (figures["single_enqueue"], figures["bulk_enqueue"], *(drain["rate"] for drain in figures["drains"])):
        assert one["per_second"] > 0
    assert 0 < figures["pick_up"]["p50_ms"] <= figures["pick_up"]["p99_ms"]
    assert figures["limits"]["durability"] in ("synchronous=NORMAL", "synchronous_commit=on")
    assert figures["limits"]["drain"]["count"] == 1_000
    assert len(figures["shares"]["drains"]) == 4
    assert len(figures["verdict"]) == 6
    assert [job.id for job in store.jobs.iter()] == [kept.id]
    assert store.workers.list() == []
    assert [queue.name for queue in store.queues.list()] == ["default"]
    assert scratch_left(address, tmp_path) == []


def test_a_users_task_is_measured(process: Callable[..., Ran], store: Lineshaft, address: str, tmp_path: Path) -> None:
    """A task of the app runs with its arguments on the store that is named, whatever its options say of when."""
    (tmp_path / "shop.py").write_text(SHOP)
    arguments = ("--task", "shop.pack", "--args", '{"order": 7, "gift": true}', "--jobs", "50", "--slots", "3")
    ran = process("--app", "shop:app", "bench", *arguments, "--json", "--store", address)
    assert (ran.code, ran.err) == (0, "")
    [drain] = ran.json["drains"]
    assert (drain["what"], drain["rate"]["count"], drain["slots"]) == ("shop.pack", 100, 3)
    assert store.jobs.count() == 0
    assert not (tmp_path / "another.db").exists()


def test_a_table_and_a_verdict_are_printed(process: Callable[..., Ran], tmp_path: Path) -> None:
    """Without --json there is a table, then what limits each figure and what to change; a pipe hears a line a step."""
    ran = process("bench", "--jobs", "20", "--store", f"sqlite:///{tmp_path / 'jobs.db'}")
    assert ran.code == 0
    head, _, verdict = ran.out.partition("What limits it now, and what to change\n")
    for row in ("raw: commit of one row", "raw: claim and finish", "single enqueue", "bulk enqueue", "pick-up"):
        assert f"\n{row}" in head
    assert "single enqueue: " in verdict
    assert verdict.count("  → ") == 4
    assert "bulk enqueue, 1,000 at a time: 20\n" in ran.err


def test_a_bar_is_drawn_on_a_terminal(terminal: Callable[..., Ran], tmp_path: Path) -> None:
    """A person sees how far each step is, and lines no longer than the terminal."""
    ran = terminal("bench", "--jobs", "20", "--store", f"sqlite:///{tmp_path / 'jobs.db'}")
    assert ran.code == 0
    assert "━" in ran.out
    _, _, verdict = ran.out.partition("What limits it now")
    assert max(map(len, verdict.splitlines())) <= 80


def test_a_failing_task_is_told(process: Callable[..., Ran], store: Lineshaft, address: str, tmp_path: Path) -> None:
    """A task that fails cannot be measured: its error is told, and its jobs are removed."""
    (tmp_path / "shop.py").write_text(SHOP)
    ran = process("--app", "shop:app", "bench", "--task", "shop.fail", "--args", "7", "--json", "--store", address)
    assert (ran.code, ran.complaint) == (
        1, "a job of shop.fail failed: ValueError: no order 7; give --args that it can run with",
    )  # fmt: skip
    assert store.jobs.count() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_bench_that_is_stopped_cleans_up(store: Lineshaft, address: str, tmp_path: Path, number: int) -> None:
    """A bench that is told to stop while it fills its queue takes its jobs, worker and tables with it."""
    store.jobs.count()
    with start("bench", "--jobs", "200000", "--store", address) as bench:
        assert bench.stderr
        for line in bench.stderr:
            if line.startswith("bulk enqueue"):
                break
        bench.send_signal(number)
        _, said = bench.communicate(timeout=LIMIT_SECONDS)
    assert bench.returncode == 128 + number, said
    assert store.jobs.count() == 0
    assert (store.workers.list(), store.queues.list(), scratch_left(address, tmp_path)) == ([], [], [])


def test_a_store_in_memory_is_refused(call: Callable[..., Ran]) -> None:
    """A store that the worker's process cannot reach is not measured."""
    ran = call("bench", "--store", "memory://", "--json")
    assert ran.code == 2
    assert "the worker is another process" in ran.complaint


def test_arguments_need_a_task(call: Callable[..., Ran]) -> None:
    """Arguments without the task that takes them are a mistake, which is said before anything is measured."""
    ran = call("bench", "--args", "7", "--store", "sqlite:///jobs.db")
    assert ran.code == 2
    assert "--args are those of a --task; name it" in ran.complaint
    assert not Path("jobs.db").exists()
