"""`queues`, `workers` and `migrate`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lineshaft import Rate
from lineshaft.transitions import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft import Lineshaft
    from tests.cli.conftest import Ran
    from tests.plugins.engines import MakeJob


def test_list_queues(call: Callable[..., Ran], store: Lineshaft, address: str, make_job: MakeJob) -> None:
    """Queues are listed with what they hold and how they are set."""
    make_job(State.RUNNING, queue="pdf")
    make_job(queue="pdf")
    store.queues.pause("mail", by="ann@desk", reason="letters come back")
    store.queues.update("pdf", max_depth=9, max_depth_per_tenant=5, on_full="drop_oldest")
    store.queues.update("pdf", concurrency=4, rate="5/30s")
    assert call("queues", "list", "--store", address).out.splitlines() == [
        f"{'name  state   queued  running  scheduled  retrying  max depth  when full':86}  at once  rate   paused by",
        f"{'mail  paused       0        0          0         0':104}ann@desk: letters come back",
        "pdf   open         1        1          0         0          9  5 a tenant, drop_oldest  0 of 4   5/30s",
    ]
    [mail, pdf] = call("queues", "list", "--json", "--store", address).json
    assert mail["paused"]
    assert mail["paused_at"].endswith("Z")
    assert (mail["paused_by"], mail["pause_reason"]) == ("ann@desk", "letters come back")
    assert pdf == {
        "name": "pdf", "paused": False, "paused_at": None, "paused_by": None, "pause_reason": None,
        "depth": 1, "max_depth": 9, "max_depth_per_tenant": 5, "on_full": "drop_oldest", "block_timeout": None,
        "concurrency": 4, "rate": "5/30s", "burst": None, "holders": {}, "fair": None, "fair_weights": {},
        "counts": {"queued": 1, "running": 1},
    }  # fmt: skip


def test_pause_and_resume(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """Several queues are paused and resumed in one command; `--json` shows them as a listing does."""
    assert (
        call("queues", "pause", "pdf", "mail", "--store", address).out == "queue pdf is paused\nqueue mail is paused\n"
    )
    assert [queue.paused for queue in store.queues.list()] == [True, True]
    [pdf] = call("queues", "resume", "pdf", "--json", "--store", address).json
    assert (pdf["name"], pdf["paused"]) == ("pdf", False)
    assert store.queues.get("mail").paused


def test_limit(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """`--max-depth` sets the limit, `none` takes it away, anything else is refused."""
    shown = call("queues", "update", "pdf", "--max-depth", "5", "--store", address).out
    assert shown == "queue pdf holds at most 5 waiting jobs\n"
    assert store.queues.get("pdf").max_depth == 5
    assert call("queues", "update", "pdf", "--max-depth", "none", "--store", address).code == 0
    assert store.queues.get("pdf").max_depth is None
    for wrong in ("0", "many", "-1"):
        assert call("queues", "update", "pdf", "--max-depth", wrong, "--store", address).code == 2


def test_limits_of_what_runs(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """How many jobs run and how often they start is set, told, shown and taken away; what is wrong is refused."""
    update, show = ("queues", "update", "pdf", "--store", address), ("queues", "show", "pdf", "--store", address)
    shown = call(*update, "--concurrency", "5", "--rate", "100/m").out
    assert shown == "queue pdf runs at most 5 jobs at once and starts at most 100/m\n"
    assert store.queues.get("pdf").concurrency == 5
    assert store.queues.get("pdf").rate == Rate(100, "1m")
    assert call(*show).out.splitlines() == [
        "queue pdf is open, empty",
        "queue pdf has no depth limit",
        "queue pdf runs at most 5 jobs at once and starts at most 100/m",
        "queue pdf has no place taken",
    ]
    assert call(*update, "--concurrency", "1", "--max-depth", "3").out == (
        "queue pdf runs at most 1 job at once and starts at most 100/m and holds at most 3 waiting jobs\n"
    )
    assert call(*update, "--concurrency", "none", "--rate", "none").code == 0
    assert (store.queues.get("pdf").concurrency, store.queues.get("pdf").rate) == (None, None)
    assert call(*show, "--json").json["max_depth"] == 3
    for wrong in (("--concurrency", "0"), ("--concurrency", "x"), ("--rate", "0/m"), ("--rate", "fast"), ()):
        assert call(*update, *wrong).code != 0
    assert store.queues.get("pdf").concurrency is None


def test_fairness(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """A queue has its jobs take turns by tenant or key, with weights, and by nothing again."""
    ran = call(
        "queues", "update", "pdf", "--fair", "tenant", "--weight", "acme=3", "--weight", "a=b=2", "--store", address
    )
    assert ran.out == "queue pdf has jobs take turns by tenant, with the weights a=b=2, acme=3\n"
    assert (store.queues.get("pdf").fair, store.queues.get("pdf").fair_weights) == ("tenant", {"acme": 3, "a=b": 2})
    assert "take turns by tenant" in call("queues", "show", "pdf", "--store", address).out
    [found] = call("queues", "update", "pdf", "--weight", "acme=5", "--json", "--store", address).json
    assert (found["fair"], found["fair_weights"]) == ("tenant", {"acme": 5})
    plain = call("queues", "update", "pdf", "--fair", "none", "--store", address)
    assert plain.out == "queue pdf runs its jobs in the order of their times\n"
    for wrong, message in (
        ("acme", "such as acme=3"),
        ("=3", "such as acme=3"),
        ("acme=0", "whole number from 1 to 100"),
    ):
        ran = call("queues", "update", "pdf", "--fair", "key", "--weight", wrong, "--store", address)
        assert ran.code == 2
        assert message in ran.err
    assert store.queues.get("pdf").fair is None


def test_limit_when_full(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """What becomes of one more is set and told, each option by itself; what has no effect is refused."""
    limit = ("queues", "update", "pdf", "--store", address)
    shown = call(*limit, "--max-depth", "5", "--max-depth-per-tenant", "2", "--on-full", "drop_oldest").out
    assert shown == "queue pdf holds at most 5 waiting jobs and 2 waiting jobs of each tenant and drops its oldest\n"
    assert call(*limit, "--on-full", "block", "--block-timeout", "90s").out.endswith(" and has others wait for room\n")
    [pdf] = call(*limit, "--max-depth-per-tenant", "none", "--json").json
    assert (pdf["max_depth"], pdf["max_depth_per_tenant"], pdf["on_full"], pdf["block_timeout"]) == (
        5,
        None,
        "block",
        90,
    )
    assert call(*limit, "--on-full", "reject", "--block-timeout", "1s").code != 0
    assert call(*limit).code != 0
    assert store.queues.get("pdf").on_full == "block"


def test_purge(call: Callable[..., Ran], store: Lineshaft, address: str, make_job: MakeJob) -> None:
    """Purging deletes what waits in the queue, needs `--yes` without a terminal, and leaves other queues alone."""
    make_job(queue="pdf")
    make_job(queue="mail")
    ran = call("queues", "purge", "pdf", "--store", address)
    assert ran.code == 2
    assert "Delete 1 waiting job of queue pdf? Add --yes to do it" in ran.complaint
    assert call("queues", "purge", "pdf", "--yes", "--store", address).out == "deleted 1 job\n"
    assert [job.queue for job in store.jobs.list()] == ["mail"]
    assert call("queues", "purge", "pdf", "--json", "--store", address).json == {"deleted": 0}


def test_a_wrong_queue_name(call: Callable[..., Ran], address: str) -> None:
    """A name that no queue can have is wrong use."""
    ran = call("queues", "pause", "a,b", "--store", address)
    assert ran.code == 2
    assert "queue='a,b' must be a name" in ran.complaint


def test_list_workers(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """A running worker is listed with its process and its queues."""
    assert call("workers", "list", "--store", address).err == "no workers\n"
    with store.worker("pdf:4"):
        [worker] = call("workers", "list", "--json", "--store", address).json
        text = call("workers", "list", "--store", address).out
    assert set(worker) == {
        "id", "host", "pid", "version", "queues", "tasks", "state", "running", "started_at", "heartbeat_at", "leads",
        "duty",
    }  # fmt: skip
    assert (worker["pid"], worker["queues"], worker["state"]) == (os.getpid(), {"pdf": 4}, "running")
    assert "pdf:4" in text.splitlines()[1]


@pytest.fixture(params=["sqlite", "postgres"])
def empty_address(request: pytest.FixtureRequest) -> str:
    """A store without a schema."""
    if request.param == "sqlite":
        return "sqlite:///new.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


def test_migrate(call: Callable[..., Ran], empty_address: str) -> None:
    """`migrate` makes the schema; `--check` only tells, by its exit code too, and creates nothing."""
    for _ in range(2):
        check = call("migrate", "--check", "--json", "--store", empty_address)
        assert check.code == 1
        assert (check.json["schema"], check.json["pending"][0]["number"]) == (0, 1)
    assert call("migrate", "--check", "--store", empty_address).out.startswith("pending  0001  ")
    applied = call("migrate", "--json", "--store", empty_address)
    assert applied.code == 0
    assert applied.json["applied"] == check.json["pending"]
    again = call("migrate", "--check", "--store", empty_address)
    assert again.code == 0
    assert again.out.endswith(f"has the newest schema, {applied.json['schema']}\n")
    assert call("migrate", "--store", empty_address).code == 0
