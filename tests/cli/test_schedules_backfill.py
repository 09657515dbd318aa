"""`schedules backfill`, `backfills`, `cancel-backfill` and `expect`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from lineshaft import Lineshaft

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.conftest import Ran


@pytest.fixture
def store(address: str) -> Iterator[Lineshaft]:
    """The store under test with a schedule."""
    app = Lineshaft(address)
    task = app.task(name="add")(_add)
    app.schedules.create("nightly", task.new(), cron="0 6 * * *", timezone="Europe/Berlin")
    yield app
    app.close()


def _add(x: int = 0) -> int:
    return x


def test_backfill(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """A backfill is begun with times of the schedule's zone; without a worker it is said that nothing happens yet."""
    ran = call(
        "schedules", "backfill", "nightly", "--since", "2026-03-01", "--until", "2026-03-08T12:00", "--at-most", "3",
        "--only-missing", "--store", address,
    )  # fmt: skip
    [made] = store.schedules.backfills("nightly")
    assert ran.out == f"backfill {made.id} of schedule nightly begun\n"
    assert ran.err == "no worker runs: it goes on when one does\n"
    assert (made.since, made.until) == (
        datetime(2026, 2, 28, 23, tzinfo=UTC), datetime(2026, 3, 8, 11, tzinfo=UTC),
    )  # fmt: skip
    assert (made.at_most, made.only_missing) == (3, True)


def test_up_to_now(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """Without --until a backfill goes up to now; the JSON has all that is known of it."""
    made = call("schedules", "backfill", "nightly", "--since", "2026-03-01T00:00Z", "--store", address, "--json").json
    [found] = store.schedules.backfills("nightly")
    assert found.until == found.created_at
    assert made == {
        "id": found.id, "schedule": "nightly", "since": "2026-03-01T00:00:00Z", "until": made["created_at"],
        "at_most": 1, "only_missing": False, "state": "running", "next_at": "2026-03-01T05:00:00Z", "enqueued": 0,
        "unfinished": 0, "created_at": made["created_at"], "ended_at": None,
    }  # fmt: skip


def test_listing(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """Backfills are listed, the latest first, with how far they are."""
    none = call("schedules", "backfills", "nightly", "--store", address)
    assert (none.out, none.err) == ("", "no backfills\n")
    first = store.schedules.backfill("nightly", datetime(2026, 1, 1, tzinfo=UTC))
    second = store.schedules.backfill("nightly", datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 8, tzinfo=UTC))
    store.schedules.cancel_backfill(first.id)
    lines = call("schedules", "backfills", "nightly", "--store", address).out.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [[second.id, "running"], [first.id, "cancelled"]]
    assert "2026-02-01T06:00:00+01:00" in lines[1], "it has come up to there"
    shown = call("schedules", "backfills", "nightly", "--limit", "1", "--store", address, "--json").json
    assert [one["id"] for one in shown] == [second.id]


def test_cancel(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """A backfill is cancelled by its id; there is an error for one that there is not."""
    made = store.schedules.backfill("nightly", datetime(2026, 1, 1, tzinfo=UTC))
    ran = call("schedules", "cancel-backfill", made.id, "--store", address)
    assert ran.out == f"backfill {made.id} of schedule nightly is cancelled\n"
    again = call("schedules", "cancel-backfill", made.id, "--store", address, "--json")
    assert (again.json["state"], again.code) == ("cancelled", 0)
    assert call("schedules", "cancel-backfill", "gone", "--store", address).code != 0


@pytest.mark.parametrize(
    "words, said",
    [
        (["gone", "--since", "2026-01-01"], "no schedule is named 'gone'"),
        (["nightly", "--since", "yesterday"], "'yesterday' is not an ISO 8601 time"),
        (["nightly", "--since", "2099-01-01"], "is not before"),
        (["nightly", "--since", "2026-01-01", "--until", "2099-01-01"], "is not past yet"),
        (["nightly", "--since", "2026-01-01", "--at-most", "0"], "--at-most"),
        (["nightly"], "--since"),
    ],
)
def test_refusals(call: Callable[..., Ran], store: Lineshaft, address: str, words: list[str], said: str) -> None:
    """What cannot be backfilled is refused, and nothing is stored."""
    ran = call("schedules", "backfill", *words, "--store", address)
    assert ran.code != 0
    assert said in ran.err
    assert store.schedules.backfills("nightly") == []


def test_expect(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """An expectation is stored as a schedule of the task that it watches."""
    words = ("schedules", "expect", "adds", "add", "--cron", "0 7 * * *", "--timezone", "Europe/Berlin")
    ran = call(*words, "--store", address)
    assert ran.out == "schedule adds expects a job of add every day at 07:00 Berlin time\n"
    made = store.schedules.get("adds")
    assert (made.task, made.queue, made.source) == ("add", None, "runtime")
    assert "adds" in call(*words, "--store", address).err
    as_json = call("schedules", "expect", "more", "add", "--every", "1h", "--store", address, "--json").json
    assert (as_json["name"], as_json["task"], as_json["rule"]["every"]) == ("more", "add", "1h")
    assert call("schedules", "expect", "none", "add", "--store", address).code != 0
