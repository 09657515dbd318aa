"""`workers list` and `workers drain`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.plugins.apps import Gates, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft import Lineshaft
    from tests.cli.conftest import Ran


def test_drain_one_of_two(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """The named worker ends and is waited for, the other goes on."""
    with store.worker({"pdf": 1}) as one, store.worker({"mail": 1}) as other:
        ran = call("workers", "drain", str(one.worker.id), "--wait", "--store", address)
        assert (ran.code, ran.out, ran.err) == (0, "1 worker ended\n", "")
        assert one.worker.ended.wait(5)
        assert [found.id for found in store.workers.list()] == [other.worker.id]


def test_a_drained_worker_finishes_what_it_runs(
    call: Callable[..., Ran], store: Lineshaft, address: str, gates: Gates
) -> None:
    """It takes no more jobs, lets the one that runs finish, and says that it drains meanwhile."""

    @store.task(name="hold")
    def hold() -> str:
        gates.note("runs")
        gates.wait("end")
        return "done"

    job = store.enqueue("hold")
    with store.worker({"default": 1}) as running:
        assert gates.next() == "runs"
        assert call("workers", "drain", "--all", "--yes", "--store", address).code == 0
        eventually(lambda: running.worker.is_drained)
        waiting = store.enqueue("hold")
        assert [found.state for found in store.workers.list()] == ["draining"]
        gates.open("end")
        assert running.worker.ended.wait(10)
    assert job.refresh().state == "completed"
    assert waiting.refresh().state == "queued"
    assert store.workers.list() == []


def test_drain_a_host(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """`--host` means every worker of a host; a host without any drains none."""
    with store.worker({"pdf": 1}) as one:
        host = store.workers.list()[0].host
        said = call("workers", "drain", "--host", "elsewhere", "--json", "--store", address).json
        assert said == {"drained": [], "unknown": [], "has_ended": False}
        said = call("workers", "drain", "--host", host, "--yes", "--wait", "--json", "--store", address).json
        assert said == {"drained": [one.worker.id], "unknown": [], "has_ended": True}


def test_unknown_ids_are_one_line_each(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """A worker that there is not is told, those that there are are drained all the same, and the exit code is 1."""
    with store.worker({"pdf": 1}) as one:
        ran = call("workers", "drain", "99", str(one.worker.id), "--store", address)
        assert ran.code == 1
        assert ran.err == "lineshaft: there is no worker 99; 'lineshaft workers list' shows those there are\n"
        assert ran.out == "asked 1 worker to finish what runs there and to end\n"


@pytest.mark.parametrize("given", [[], ["1", "--all"], ["--host", "here", "--all"]])
def test_which_workers_is_said_in_one_way(call: Callable[..., Ran], address: str, given: list[str]) -> None:
    """None and two ways to say which workers are wrong use."""
    ran = call("workers", "drain", *given, "--yes", "--store", address)
    assert ran.code == 2
    assert "in one way: ids, --host or --all" in ran.complaint
