"""`jobs enqueue`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lineshaft import Lineshaft
from lineshaft.transitions import State
from tests.cli.conftest import LIMIT_SECONDS, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.conftest import Ran


@pytest.mark.parametrize(
    "given, args, kwargs",
    [
        ("[1, [2]]", [1, [2]], {}),
        ('{"x": 1}', [], {"x": 1}),
        ("7", [7], {}),
        ('"text"', ["text"], {}),
        ("[null]", [None], {}),
        (None, [], {}),
    ],
)
def test_arguments(
    call: Callable[..., Ran], store: Lineshaft, address: str, given: str | None, args: list[Any], kwargs: dict[str, Any]
) -> None:
    """An array is the positional arguments, an object the keyword ones, anything else one argument."""
    more = ["--args", given] if given is not None else []
    job_id = call("jobs", "enqueue", "shop.render", *more, "--store", address).out.strip()
    job = store.jobs.get(job_id)
    assert (job.name, job.args) == ("shop.render", (args, kwargs))


def test_options_are_stored(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """Queue, priority, times, tags, meta and tenant are the job's."""
    shown = call(
        "jobs", "enqueue", "shop.render", "--queue", "pdf", "--priority", "high", "--delay", "2h", "--deadline", "1d",
        "--tag", "a", "--tag", "b", "--meta", '{"by": "me"}', "--tenant", "acme", "--json", "--store", address,
    ).json  # fmt: skip
    job = store.jobs.get(shown["id"])
    assert (job.state, job.queue, job.priority, job.tags) == (State.SCHEDULED, "pdf", 50, ["a", "b"])
    assert (job.meta, job.tenant) == ({"by": "me"}, "acme")
    assert (job.run_at - job.created_at).total_seconds() == 7200
    assert job.deadline is not None
    assert (job.deadline - job.created_at).total_seconds() == 86400


def test_run_at(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """`--run-at` takes a zoned time."""
    job_id = call("jobs", "enqueue", "t", "--run-at", "2099-01-01T00:00+01:00", "--store", address).out.strip()
    assert store.jobs.get(job_id).run_at.isoformat() == "2098-12-31T23:00:00+00:00"


@pytest.mark.parametrize(
    "options, said",
    [
        (["--args", "{"], "is not JSON"),
        (["--args", "word"], "a text needs its quotes"),
        (["--meta", "[1]"], "is not a JSON object"),
        (["--delay", "soon"], "is not a duration such as 90s or 2h30m"),
        (["--run-at", "2099-01-01"], "carries no time zone"),
        (["--delay", "1m", "--run-at", "2099-01-01T00:00Z"], "say the same thing"),
        (["--timeout", "5"], "--timeout says how long to --wait"),
        (["--priority", "urgent"], "priority='urgent' must be a whole number"),
        (["--queue", "a,b"], "queue='a,b' must be a name"),
    ],
)
def test_wrong_options(call: Callable[..., Ran], address: str, store: Lineshaft, options: list[str], said: str) -> None:
    """An option that cannot be meant is exit code 2, and nothing is stored."""
    ran = call("jobs", "enqueue", "shop.render", *options, "--store", address)
    assert ran.code == 2
    assert said in ran.complaint
    assert store.jobs.count() == 0


def test_a_full_queue_fails(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """A queue that is full refuses the job with exit code 1."""
    store.queues.update("default", max_depth=1)
    store.enqueue("shop.render")
    ran = call("jobs", "enqueue", "shop.render", "--store", address)
    assert ran.code == 1
    assert "queue 'default' holds 1" in ran.complaint


def test_a_known_task_checks_its_arguments(process: Callable[..., Ran], work: Path) -> None:
    """Where the app is known, its task's options count, and a wrong name or wrong arguments are refused."""
    ran = process("--app", "work:app", "jobs", "enqueue", "work.add", "--args", '{"x": 1}', "--json")
    assert (ran.json["queue"], ran.json["kwargs"]) == ("sums", {"x": 1})
    for arguments, said in (
        (["work.add", "--args", '["one"]'], "argument 'x' of task 'work.add'"),
        (["work.add", "--args", '{"z": 1}'], "task 'work.add'"),
        (["work.nothing"], "no task is named 'work.nothing' here; known are: work.add"),
    ):
        ran = process("--app", "work:app", "jobs", "enqueue", *arguments)
        assert ran.code == 1
        assert said in ran.complaint


@pytest.fixture
def worker(store: Lineshaft) -> Iterator[None]:
    """A worker that knows three tasks."""
    store.task(name="add")(_add)
    store.task(name="fail", retry=None)(_fail)
    store.task(name="forget", keep_result=False)(_forget)
    with store.worker(["default"]):
        yield


def _add(x: int, y: int) -> dict[str, int]:
    return {"sum": x + y}


def _fail() -> None:
    raise ValueError("never")


def _forget() -> int:
    return 1


@pytest.mark.usefixtures("worker")
def test_wait_prints_the_result(call: Callable[..., Ran], address: str) -> None:
    """`--wait` prints the result as JSON; with `--json` the whole job."""
    ran = call("jobs", "enqueue", "add", "--args", "[1, 2]", "--wait", "--timeout", "20", "--store", address)
    assert (ran.code, ran.out) == (0, '{"sum":3}\n')
    whole = call("jobs", "enqueue", "add", "--args", "[1, 2]", "--wait", "--json", "--store", address).json
    assert (whole["state"], whole["result"]) == ("completed", {"sum": 3})


@pytest.mark.usefixtures("worker")
def test_wait_for_a_failure(call: Callable[..., Ran], address: str) -> None:
    """With `--wait`, the exit code is 1 when the job fails, and the line has its error."""
    ran = call("jobs", "enqueue", "fail", "--wait", "--store", address)
    assert ran.code == 1
    assert ran.complaint.endswith("(fail) is dead (error): ValueError: never")


@pytest.mark.usefixtures("worker")
def test_wait_for_a_result_that_is_not_kept(call: Callable[..., Ran], address: str) -> None:
    """A job that completed has succeeded, whether its result is kept or not."""
    ran = call("jobs", "enqueue", "forget", "--wait", "--store", address)
    assert (ran.code, ran.out) == (0, "null\n")


def test_wait_ends_with_its_timeout(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """When the timeout passes first, the exit code is 1 and the job goes on."""
    ran = call("jobs", "enqueue", "add", "--wait", "--timeout", "50ms", "--store", address)
    assert ran.code == 1
    assert "is not finished after 50ms" in ran.complaint
    assert [job.state for job in store.jobs.list()] == [State.QUEUED]


def test_no_app_makes_the_default_store(tmp_path: Path) -> None:
    """Enqueueing without any setting makes lineshaft.db here: a first job needs no preparation."""
    with start("jobs", "enqueue", "shop.render") as one:
        assert one.wait(LIMIT_SECONDS) == 0
    assert (tmp_path / "lineshaft.db").exists()
