"""`jobs list`, `jobs show` and `jobs logs`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from lineshaft import Lineshaft, current_job
from lineshaft.transitions import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Ran
    from tests.plugins.engines import MakeJob

KEYS = {
    "id", "name", "state", "reason", "queue", "priority", "attempt", "max_attempts", "tags", "meta", "tenant",
    "created_at", "run_at", "started_at", "finished_at", "deadline", "progress", "args", "kwargs",
}  # fmt: skip


def ids(ran: Ran) -> list[str]:
    """The jobs that a command listed as JSON."""
    assert ran.code == 0, ran.err
    return [job["id"] for job in ran.json]


def test_list_filters(call: Callable[..., Ran], address: str, make_job: MakeJob) -> None:
    """Each filter leaves the jobs that it means, the newest first; states may be several."""
    dead = make_job(State.DEAD, queue="one", name="shop.ship").id
    done = make_job(State.COMPLETED, queue="two", tags='["q3"]').id
    plain = make_job(tenant="acme", args='[["needle"],{}]').id

    def listed(*options: str) -> list[str]:
        return ids(call("jobs", "list", "--json", "--store", address, *options))

    assert listed() == [plain, done, dead]
    assert listed("--state", "dead", "--state", "completed") == [done, dead]
    assert listed("--queue", "one") == [dead]
    assert listed("--name", "shop.ship") == [dead]
    assert listed("--tag", "q3") == [done]
    assert listed("--tenant", "acme") == [plain]
    assert listed("--search", "needle") == [plain]
    assert listed("--since", "1h") == [plain, done, dead]
    assert listed("--since", "2027-02-01T00:00+01:00") == []


def test_list_json_has_stable_keys(call: Callable[..., Ran], address: str, make_job: MakeJob) -> None:
    """Each job is an object with the same keys whatever its state, times as ISO 8601."""
    make_job(State.DEAD)
    make_job()
    [queued, dead] = call("jobs", "list", "--json", "--store", address).json
    assert set(queued) == set(dead) == KEYS
    assert dead["reason"] == "error"
    assert dead["created_at"] == "2027-01-15T08:00:00Z"


def test_list_pages(call: Callable[..., Ran], address: str, make_job: MakeJob) -> None:
    """A page that is not the last says on standard error how to get the next, and `--all` goes through all."""
    made = [make_job().id for _ in range(5)][::-1]
    first = call("jobs", "list", "--json", "--limit", "2", "--store", address)
    assert ids(first) == made[:2]
    assert first.err == f"more: add --cursor {made[1]}, or --all\n"
    second = call("jobs", "list", "--json", "--limit", "3", "--cursor", made[1], "--store", address)
    assert ids(second) == made[2:]
    assert second.err == ""
    assert ids(call("jobs", "list", "--json", "--all", "--store", address)) == made


def test_all_and_a_cursor_exclude_each_other(call: Callable[..., Ran]) -> None:
    """`--all` with `--cursor` is refused."""
    ran = call("jobs", "list", "--all", "--cursor", "x", "--store", "sqlite:///jobs.db")
    assert ran.code == 2
    assert "leave out --cursor" in ran.complaint


def test_list_as_text(call: Callable[..., Ran], address: str, make_job: MakeJob) -> None:
    """Without a terminal, jobs stand in aligned columns, ids in full, without colour; names cannot break a line."""
    odd = make_job(name="shop.\x1b[31m\nrender").id
    plain = make_job(State.COMPLETED, queue="pdf").id
    head, first, second = call("jobs", "list", "--store", address).out.splitlines()
    assert head.split() == ["id", "state", "task", "queue", "attempt", "created"]
    assert first == f"{plain}  completed  {'shop.render':21}  pdf          1/3  2027-01-15T08:00:00Z"
    assert second == f"{odd}  queued     shop.\\x1b[31m\\nrender  default      0/3  2027-01-15T08:00:00Z"


def test_an_empty_list(call: Callable[..., Ran], address: str) -> None:
    """No jobs are no output, a remark on standard error, and an empty array as JSON."""
    assert call("jobs", "list", "--store", address) == type(call())(0, "", "no jobs\n")
    assert call("jobs", "list", "--json", "--store", address).json == []


@pytest.mark.parametrize(
    "since, said",
    [
        ("yesterday", "neither a duration such as 90m nor an ISO 8601 time"),
        ("2026-11-22T08:00", "carries no time zone; add Z for UTC"),
        ("2026-99-22T08:00Z", "is not an ISO 8601 time"),
    ],
)
def test_a_wrong_since(call: Callable[..., Ran], since: str, said: str) -> None:
    """What is neither a span nor a zoned time is refused with an example."""
    ran = call("jobs", "list", "--since", since, "--store", "sqlite:///jobs.db")
    assert ran.code == 2
    assert said in ran.complaint


@pytest.fixture
def failed(store: Lineshaft) -> str:
    """A job that logged and failed twice."""

    @store.task(name="shop.render", tags=["q3"], meta={"by": "cron"}, tenant="acme")
    def render(page: int, *, title: str) -> None:
        current_job().log.warning("no ink for %s\nat all", title)
        raise ValueError(f"no page {page}\x1b[0m")

    from lineshaft import Fixed, Retry

    job = render.options(retry=Retry(max_attempts=2, backoff=Fixed(0))).enqueue(7, title="A")
    with store.worker(["default"]):
        job.wait(20)
    return job.id


def test_show_tells_everything(call: Callable[..., Ran], address: str, failed: str) -> None:
    """`jobs show` prints arguments, tags, times, and each attempt's error with its traceback."""
    shown = call("jobs", "show", failed, "--store", address).out
    for part in (
        f"id        {failed}\n", "task      shop.render\n", "state     dead (error)\n", "attempt   2 of 2\n",
        'args      7, title="A"\n', "tags      q3\n", 'meta      {"by":"cron"}\n', "tenant    acme\n", "finished  20",
        "\nattempt 1, 20", "\nattempt 2, 20", ": ValueError: no page 7\\x1b[0m\n",
        "Traceback (most recent call last):\n", "in render\n",
    ):  # fmt: skip
        assert part in shown
    assert "\x1b" not in shown


def test_show_json(call: Callable[..., Ran], address: str, failed: str) -> None:
    """`jobs show --json` has the keys of a listing, the errors and the result."""
    shown = call("jobs", "show", failed, "--json", "--store", address).json
    assert set(shown) == KEYS | {"errors", "result"}
    assert (shown["args"], shown["kwargs"], shown["result"]) == ([7], {"title": "A"}, None)
    assert [(error["attempt"], error["type"]) for error in shown["errors"]] == [(1, "ValueError"), (2, "ValueError")]


def test_show_the_result(call: Callable[..., Ran], address: str, make_job: MakeJob) -> None:
    """A completed job shows its result."""
    job_id = make_job(State.COMPLETED).id
    assert 'result    "done"\n' in call("jobs", "show", job_id, "--store", address).out
    assert call("jobs", "show", job_id, "--json", "--store", address).json["result"] == "done"


def test_show_progress(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """A running job shows how far it is."""
    seen = threading.Event()

    @store.task(name="shop.render")
    def render() -> None:
        current_job().progress(0.25, "page 1 of 4")
        assert seen.wait(20)

    job = render.enqueue()
    with store.worker(["default"]):
        while job.refresh().progress is None:
            assert not job.state.is_final
        text = call("jobs", "show", job.id, "--store", address).out
        shown = call("jobs", "show", job.id, "--json", "--store", address).json
        seen.set()
    assert "progress  25% page 1 of 4\n" in text
    assert (shown["progress"]["fraction"], shown["progress"]["message"]) == (0.25, "page 1 of 4")


def test_logs(call: Callable[..., Ran], address: str, failed: str) -> None:
    """`jobs logs` prints a job's log lines with attempt and level, or as JSON."""
    lines = call("jobs", "logs", failed, "--store", address).out.splitlines()
    assert [line.split()[1:3] for line in lines if line[:2] == "20"] == [["1", "WARNING"], ["2", "WARNING"]]
    assert lines[0].endswith(": no ink for A")
    [first, _] = call("jobs", "logs", failed, "--json", "--store", address).json
    assert (first["attempt"], first["message"]) == (1, "no ink for A\nat all")


def test_no_logs(call: Callable[..., Ran], address: str, make_job: MakeJob) -> None:
    """A job that logged nothing says so on standard error only."""
    assert call("jobs", "logs", make_job().id, "--store", address) == type(call())(0, "", "the job logged nothing\n")


@pytest.mark.parametrize("command", ["show", "logs"])
def test_a_job_that_is_not_there(call: Callable[..., Ran], address: str, command: str) -> None:
    """An id that names no job, or cannot, is exit code 1 and one line."""
    for job_id in ("nonsense", "0197a6f0-5c1e-7cc3-98c4-dc0c0c07398f"):
        ran = call("jobs", command, job_id, "--store", address)
        assert ran.code == 1
        assert job_id in ran.complaint
