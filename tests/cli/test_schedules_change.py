"""`schedules create`, `update`, `reset` and `delete`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from lineshaft import Lineshaft
from lineshaft.errors import ScheduleNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.conftest import Ran

CLOSED = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test//test//EN
BEGIN:VEVENT
UID:1@test
DTSTAMP:20260101T000000Z
DTSTART;VALUE=DATE:20990106
SUMMARY:stocktaking
END:VEVENT
END:VCALENDAR
"""


@pytest.fixture
def store(address: str) -> Iterator[Lineshaft]:
    """The store under test with a schedule that code declares."""
    app = Lineshaft(address)
    add = app.task(name="add")(_add)
    app.schedule(name="coded", cron="0 6 * * *", timezone="Europe/Berlin", queue="paper")(add)
    app.schedules.sync()
    yield app
    app.close()


def _add(x: int = 0, y: int = 1) -> int:
    return x + y


def test_create(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """A schedule is made of a rule, a job and what a tick does; the line says when it ticks first."""
    ran = call(
        "schedules", "create", "nightly", "shop.report", "--args", '{"draft": true}', "--cron", "30 2 * * *",
        "--timezone", "Europe/Berlin", "--start", "2099-01-01", "--end", "2099-12-31T12:00", "--catch-up", "all",
        "--catch-up-limit", "7", "--grace", "2m", "--overlap", "skip", "--jitter", "30", "--finish-within", "1h",
        "--queue", "paper", "--priority", "high", "--tag", "a", "--tag", "b", "--tenant", "acme", "--store", address,
    )  # fmt: skip
    assert ran.out.startswith("schedule nightly ticks in ")
    assert ", at 2099-01-01T02:30:00+01:00: every day at 02:30 Berlin time" in ran.out
    made = store.schedules.get("nightly")
    assert (made.task, made.args, made.source) == ("shop.report", ([], {"draft": True}), "runtime")
    assert (made.start, made.end) == (
        datetime(2098, 12, 31, 23, tzinfo=UTC), datetime(2099, 12, 31, 11, tzinfo=UTC),
    )  # fmt: skip
    assert (made.catch_up, made.catch_up_limit, made.overlap) == ("all", 7, "skip")
    assert (made.grace, made.jitter) == (timedelta(minutes=2), timedelta(seconds=30))
    assert (made.finish_within, made.queue, made.priority) == (timedelta(hours=1), "paper", 50)
    assert (made.tags, made.tenant) == (("a", "b"), "acme")


@pytest.mark.parametrize(
    "rule, words",
    [
        (["--every", "90"], "every 90 seconds"),
        (["--every", "1h", "--since", "finish"], "1 hour after the end of the last job"),
        (["--at", "2099-12-24T18:00", "--at", "2099-12-31T12:00Z"], "at 2099-12-24 18:00 and 2099-12-31 12:00"),
        (
            ["--days", "last business day of the month", "--time", "17:00"],
            "on the last business day of the month at 17:00",
        ),
        (["--days", "every day", "--time", "08:00", "--time", "20:00"], "every day at 08:00 and 20:00"),
    ],
)
@pytest.mark.usefixtures("store")
def test_kinds_of_rules(call: Callable[..., Ran], address: str, rule: list[str], words: str) -> None:
    """Each kind of rule can be said; `--json` shows the schedule."""
    made = call("schedules", "create", "one", "add", *rule, "--json", "--store", address).json
    assert made["in_words"].startswith(words)


@pytest.mark.parametrize(
    "given, closed",
    [
        (["--country", "DE"], datetime(2099, 1, 1, tzinfo=UTC)),
        (["--country", "DE-BY"], datetime(2099, 1, 6, tzinfo=UTC)),
        (["--closed", "2099-01-02"], datetime(2099, 1, 2, tzinfo=UTC)),
        (["--weekend", "mon,tue"], datetime(2099, 1, 5, tzinfo=UTC)),
        (["--ics", "closed.ics"], datetime(2099, 1, 6, tzinfo=UTC)),
    ],
)
@pytest.mark.usefixtures("store")
def test_calendars(call: Callable[..., Ran], address: str, tmp_path: Path, given: list[str], closed: datetime) -> None:
    """Days off are those of a country, of a part of it, of a list, of each week, or of an ICS file."""
    (tmp_path / "closed.ics").write_text(CLOSED)
    rule = ["--cron", "0 0 * * *", "--start", "2099-01-01"]
    shown = {}
    for name, more in (("open", []), ("closed", given)):
        call("schedules", "create", name, "add", *rule, *more, "--store", address)
        times = call("schedules", "next", name, "-n", "9", "--json", "--store", address).json["next"]
        shown[name] = [datetime.fromisoformat(one) for one in times]
    assert closed in shown["open"]
    assert closed not in shown["closed"]


@pytest.mark.parametrize(
    "given, code, said",
    [
        ([], 2, "give exactly one of cron=, every=, at=, days="),
        (["--cron", "0 6 * * *", "--every", "1h"], 2, "got cron= and every="),
        (["--cron", "0 0 30 2 *"], 2, "never fires"),
        (["--cron", "x"], 2, "cron='x' has 1 field"),
        (["--every", "soon"], 2, "is not a duration such as 90s"),
        (["--every", "1ms"], 2, "too often"),
        (["--at", "2020-01-01T00:00Z"], 2, "all its times are over"),
        (["--at", "tomorrow"], 2, "is not an ISO 8601 time"),
        (["--days", "some day", "--time", "9:00"], 2, "days='some day' cannot be read"),
        (["--days", "every day", "--time", "25:00"], 2, "25:00"),
        (["--every", "1h", "--timezone", "Europe/Brelin"], 2, "did you mean 'Europe/Berlin'"),
        (["--every", "1h", "--country", "ZZ"], 2, "country='ZZ' is not known"),
        (["--every", "1h", "--start", "2099-01-02", "--end", "2099-01-01"], 2, "is before start="),
        (["--every", "1h", "--ics", "none.ics"], 2, "none.ics"),
        (["--every", "1h", "--overlap", "never"], 2, "is not one of 'allow', 'skip'"),
        (["--every", "10s", "--jitter", "1m"], 2, "jitter=1m is longer than the 10s"),
        (["--every", "1h", "--grace", "0"], 2, "grace="),
        (["--every", "1h", "--args", "{"], 2, "is not JSON"),
        (["--every", "1h", "--priority", "urgent"], 2, "priority='urgent'"),
        (["--every", "1h", "--queue", "a,b"], 2, "queue='a,b' must be a name"),
    ],
)  # fmt: skip
def test_wrong_options(
    call: Callable[..., Ran], store: Lineshaft, address: str, given: list[str], code: int, said: str
) -> None:
    """What cannot be meant is refused in one line, and nothing is stored."""
    ran = call("schedules", "create", "one", "add", *given, "--store", address)
    assert ran.code == code
    assert said in ran.complaint
    assert [one.name for one in store.schedules.list()] == ["coded"]


@pytest.mark.usefixtures("store")
def test_names(call: Callable[..., Ran], address: str) -> None:
    """A name that is taken, or that no schedule may have, is refused."""
    for name, said in (("coded", "is declared by"), ("a b", "without white space"), ("lineshaft.x", "begins with")):
        ran = call("schedules", "create", name, "add", "--every", "1h", "--store", address)
        assert ran.code == 2
        assert said in ran.complaint


def test_a_known_task_checks_its_arguments(process: Callable[..., Ran], work: Path) -> None:
    """Where the app is known, its task's options count, and a wrong task or wrong arguments are refused."""
    given = ("--app", "work:app", "schedules", "create", "one")
    made = process(*given, "work.add", "--args", "[1]", "--every", "1h", "--json").json
    assert (made["queue"], made["args"]) == ("sums", [1])
    for call, said in (
        (("work.add", "--args", '["x"]'), "argument 'x' of task 'work.add'"),
        (("nope",), "no task is named"),
    ):
        ran = process(*given, *call, "--every", "1h")
        assert ran.code == 1
        assert said in ran.complaint


def test_update(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """What is named changes, over what the code says; the rest stays."""
    ran = call(
        "schedules", "update", "coded", "--cron", "0 7 * * *", "--jitter", "1m", "--tag", "q3", "--store", address
    )
    assert "every day at 07:00 Berlin time" in ran.out
    changed = store.schedules.get("coded")
    assert (changed.timezone, changed.queue, changed.tags) == ("Europe/Berlin", "paper", ("q3",))
    assert changed.overridden == ("jitter", "rule", "tags")
    shown = call(
        "schedules", "update", "coded", "--jitter", "none", "--end", "2099-01-01", "--json", "--store", address
    ).json
    assert (shown["jitter"], shown["end"]) == (0, "2099-01-01T22:59:59.999999Z")
    shown = call("schedules", "update", "coded", "--end", "none", "--json", "--store", address).json
    assert (shown["end"], shown["overridden"]) == (None, ["rule", "tags"])


def test_a_queue_that_nobody_serves(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """When workers run and none serves the queue, that is told at once: the jobs would wait."""
    assert call("schedules", "update", "coded", "--queue", "attic", "--store", address).err == ""
    with store.worker(["paper"]):
        said = call("schedules", "update", "coded", "--queue", "cellar", "--store", address).err
        assert said == "no worker that runs now serves its queue 'cellar'\n"
        assert call("schedules", "update", "coded", "--queue", "paper", "--store", address).err == ""


@pytest.mark.usefixtures("store")
def test_update_the_calendar(call: Callable[..., Ran], address: str) -> None:
    """A calendar comes and goes without the rest of the rule being said again."""
    shown = call("schedules", "update", "coded", "--country", "DE", "--json", "--store", address).json
    assert shown["rule"]["calendar"]["country"] == ["DE"]
    shown = call("schedules", "update", "coded", "--no-calendar", "--json", "--store", address).json
    assert "calendar" not in shown["rule"]


@pytest.mark.parametrize(
    "given, said", [([], "say what to change"), (["--cron", "61 * * * *"], "minute '61' is wrong")]
)
def test_wrong_changes(call: Callable[..., Ran], store: Lineshaft, address: str, given: list[str], said: str) -> None:
    """Nothing to change, or a wrong rule, is wrong use, and nothing is changed."""
    ran = call("schedules", "update", "coded", *given, "--store", address)
    assert ran.code == 2
    assert said in ran.complaint
    assert store.schedules.get("coded").overridden == ()


def test_reset(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """What the code says counts again: for the names that are given, or for all; an unknown one is refused."""
    store.schedules.update("coded", cron="0 7 * * *", queue="other", jitter="1m")
    ran = call("schedules", "reset", "coded", "prio", "--store", address)
    assert ran.code == 2
    assert "'prio' is not overridden" in ran.complaint
    shown = call("schedules", "reset", "coded", "rule", "--json", "--store", address).json
    assert (shown["rule"]["cron"], shown["overridden"]) == ("0 6 * * *", ["jitter", "queue"])
    assert "every day at 06:00 Berlin time" in call("schedules", "reset", "coded", "--store", address).out
    assert store.schedules.get("coded").overridden == ()


def test_delete(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """Deleting needs `--yes` without a terminal; what the code declares stays, unless it is forced."""
    for name in ("one", "two"):
        call("schedules", "create", name, "add", "--every", "1h", "--store", address)
    ran = call("schedules", "delete", "one", "two", "--store", address)
    assert ran.code == 2
    assert "Delete 2 schedules with their history? Add --yes to do it" in ran.complaint
    assert call("schedules", "delete", "one", "--yes", "--store", address).out == "deleted schedule one\n"
    assert call("schedules", "delete", "two", "--yes", "--json", "--store", address).json == {"deleted": ["two"]}
    ran = call("schedules", "delete", "coded", "--yes", "--store", address)
    assert ran.code == 2
    assert "remove it from the code, or pause it" in ran.complaint
    assert call("schedules", "delete", "coded", "--force", "--yes", "--store", address).code == 0
    with pytest.raises(ScheduleNotFound):
        store.schedules.get("coded")
