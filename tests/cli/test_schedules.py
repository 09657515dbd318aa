"""`schedules list`, `show`, `next`, `history`, `run`, `pause` and `resume`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from lineshaft import Lineshaft
from lineshaft.features.schedules import records
from lineshaft.features.schedules.chores import ensure_chores
from lineshaft.features.schedules.records import TickRow, TickState
from lineshaft.transitions import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lineshaft.engines.base import Engine
    from tests.cli.conftest import Ran
    from tests.plugins.engines import MakeJob

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
GONE = "0197a6f0-5c1e-7cc3-98c4-dc0c0c07398f"
DAY = 86_400_000_000
LONG_AGO = int(datetime(2026, 1, 5, 5, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.fixture
def store(address: str) -> Iterator[Lineshaft]:
    """The store under test with three schedules, one of them declared by code and changed since."""
    app = Lineshaft(address)
    add = app.task(name="add")(_add)
    fail = app.task(name="fail", retry=None)(_fail)
    app.schedule(name="report", cron="0 6 * * mon-fri", timezone="Europe/Berlin", queue="paper")(add)
    app.schedules.sync()
    app.schedules.update("report", cron="0 7 * * *", jitter="1m")
    app.schedules.create("fails", fail.new(), every="1h")
    app.schedules.create(
        "sums", add.new(1, y=2), days="every monday", time="09:00", start=datetime(2099, 1, 1, tzinfo=UTC)
    )
    yield app
    app.close()


def _add(x: int = 0, y: int = 1) -> int:
    return x + y


def _fail() -> None:
    raise ValueError("never")


@pytest.fixture
def ticks(store: Lineshaft, durable_engine: Engine, make_job: MakeJob) -> str:
    """What became of three ticks of `report`: the id of the job of the first."""
    job = make_job(State.DEAD).id
    rows = [
        TickRow("report", LONG_AGO, "", TickState.ENQUEUED, job, LONG_AGO),
        TickRow("report", LONG_AGO + DAY, "", TickState.SKIPPED, None, LONG_AGO, "the queue was full"),
        TickRow("report", LONG_AGO + DAY + 1, "manual", TickState.ENQUEUED, GONE, LONG_AGO),
        TickRow("report", LONG_AGO + 2 * DAY, "", TickState.WAITING, None, LONG_AGO),
    ]
    durable_engine.write(lambda tx: records.add_ticks(tx, rows))
    return job


@pytest.fixture
def worker(store: Lineshaft) -> Iterator[None]:
    """A worker that serves the store."""
    with store.worker(["default", "paper"]):
        yield


@pytest.mark.usefixtures("store")
def test_list(call: Callable[..., Ran], address: str) -> None:
    """Schedules are listed by name, with when they tick, in words too, and a mark on those changed at run time."""
    ran = call("schedules", "list", "--store", address)
    head, *rows = ran.out.splitlines()
    assert head.split() == ["name", "state", "next", "at", "last", "when", "source"]
    assert [row.split()[:2] for row in rows] == [["fails", "active"], ["report", "active*"], ["sums", "active"]]
    assert "every day at 07:00 Berlin time" in rows[1]
    assert ran.err == "* changed at run time: 'lineshaft schedules show NAME' has what the code says\n"
    fails, report, _ = call("schedules", "list", "--json", "--store", address).json
    assert (fails["source"], fails["rule"]) == ("runtime", {"every": "1h", "timezone": "UTC"})
    assert (report["source"], report["overridden"]) == ("code", ["jitter", "rule"])
    assert report["declared"] == {"jitter": 0, "rule": {"cron": "0 6 * * mon-fri", "timezone": "Europe/Berlin"}}
    assert report["next_at"].endswith("Z")


def test_list_by_state(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """`--state` chooses, several times; what is not there is told on standard error, and an unknown state refused."""
    store.schedules.pause("fails")

    def listed(*states: str) -> list[str]:
        given = [word for state in states for word in ("--state", state)]
        return [one["name"] for one in call("schedules", "list", *given, "--json", "--store", address).json]

    assert listed("paused") == ["fails"]
    assert listed("active") == ["report", "sums"]
    assert listed("active", "paused") == ["fails", "report", "sums"]
    assert listed("overdue") == listed("ended") == []
    assert call("schedules", "list", "--state", "ended", "--store", address).err == "no schedules\n"
    assert "'late' is not one of 'active'" in call("schedules", "list", "--state", "late", "--store", address).complaint


def test_list_the_stores_own(call: Callable[..., Ran], store: Lineshaft, durable_engine: Engine, address: str) -> None:
    """The store's own housekeeping is listed when it is asked for."""
    assert store.schedules.get("sums").source == "runtime"
    ensure_chores(durable_engine, LONG_AGO)
    assert "system" not in call("schedules", "list", "--store", address).out
    shown = call("schedules", "list", "--system", "--json", "--store", address).json
    assert {one["name"] for one in shown if one["source"] == "system"} >= {"lineshaft.prune-jobs"}


def test_list_says_when_nobody_is_there(
    call: Callable[..., Ran], store: Lineshaft, durable_engine: Engine, address: str
) -> None:
    """Schedules whose time is past, because no worker runs, are told of."""
    assert "past" not in call("schedules", "list", "--store", address).err
    row = durable_engine.write(lambda tx: records.lock_schedule(tx, "fails"))
    assert row is not None
    durable_engine.write(lambda tx: records.update_schedule(tx, row._replace(next_at=LONG_AGO)))
    said = call("schedules", "list", "--store", address).err
    assert "1 schedule is past its time: they tick while a worker runs; see 'lineshaft workers list'" in said


@pytest.mark.parametrize(
    "change, said",
    [
        ({"moon": 1}, "another version of Lineshaft wrote it"),
        (
            {"recurrence": {"rule": {"type": "once", "times": [2**52]}, "timezone": "Mars/Base"}},
            "no time zone that this machine knows",
        ),
    ],
)
def test_what_cannot_be_read_here(
    call: Callable[..., Ran], durable_engine: Engine, store: Lineshaft, address: str, change: dict[str, Any], said: str
) -> None:
    """A schedule of another version, or in a zone that this machine does not know, is told of and hides no other."""
    assert store.schedules.get("sums").state == "active"
    row = durable_engine.write(lambda tx: records.lock_schedule(tx, "sums"))
    assert row is not None
    declared = msgspec.json.encode({**msgspec.json.decode(row.declared), **change}).decode()
    durable_engine.write(lambda tx: records.update_schedule(tx, row._replace(declared=declared)))
    shown = call("schedules", "list", "--json", "--store", address).json
    assert {one["name"]: said in one["in_words"] for one in shown} == {"fails": False, "report": False, "sums": True}
    assert "sums" in call("schedules", "list", "--store", address).out
    ran = call("schedules", "show", "sums", "--store", address)
    assert ran.err.startswith("its next times cannot be told: ")
    assert said in ran.out


@pytest.mark.usefixtures("store")
def test_list_on_a_narrow_terminal(terminal: Callable[..., Ran], address: str) -> None:
    """On 80 columns no line wraps; the time stands there in the schedule's zone and as how long it is until then."""
    head, _, report, *_ = COLOUR.sub("", terminal("schedules", "list", "--store", address).out).splitlines()
    assert head.split()[:4] == ["name", "state", "next", "at"]
    assert re.match(r"report +active\* +in \d+[dhms] +(\w{3} )?07:00 CES?T +every day", report)
    assert max(map(len, (head, report))) <= 80


def test_show(call: Callable[..., Ran], store: Lineshaft, address: str, ticks: str) -> None:
    """What was changed stands beside what the code says; who paused it, next times and last ticks are told."""
    store.schedules.pause("report", by="ann@desk", reason="no paper")
    text = call("schedules", "show", "report", "--store", address).out
    facts = dict(re.findall(r"^(\S+(?: \w+)?)  +(.+)$", text, re.MULTILINE))
    assert (facts["when"], facts["task"], facts["queue"]) == ("every day at 07:00 Berlin time", "add", "paper")
    assert facts["state"].startswith("paused since ")
    assert facts["state"].endswith(" by ann@desk: no paper")
    assert re.search(r"^jitter +1m +none$", text, re.MULTILINE)
    assert re.search(r'^rule +cron="0 7 \* \* \*", .* +cron="0 6 \* \* mon-fri", ', text, re.MULTILINE)
    assert re.search(rf"^2026-01-05T06:00:00\+01:00 +enqueued +{ticks} dead$", text, re.MULTILINE)
    shown = call("schedules", "show", "report", "--json", "--store", address).json
    assert (shown["paused_by"], shown["pause_reason"], len(shown["next"])) == ("ann@desk", "no paper", 5)
    assert [one["state"] for one in shown["ticks"]] == ["waiting", "enqueued", "skipped", "enqueued"]


def test_show_arguments(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """The arguments of its jobs and the bounds are shown; of a schedule that watches a task, the task."""
    text = call("schedules", "show", "sums", "--store", address).out
    assert re.search(r"^args +1, y=2$", text, re.MULTILINE)
    assert re.search(r"^from +2099-01-01T00:00:00\+00:00$", text, re.MULTILINE)
    store.schedules.expect("daily-sums", "add", every="1d")
    assert re.search(r"^watches +add$", call("schedules", "show", "daily-sums", "--store", address).out, re.MULTILINE)


@pytest.mark.usefixtures("store")
def test_next(call: Callable[..., Ran], address: str) -> None:
    """Times are told in the schedule's zone, which the head names, and in UTC; in JSON they are UTC."""
    head, *rows = call("schedules", "next", "report", "-n", "3", "--store", address).out.splitlines()
    assert head.split() == ["Europe/Berlin", "UTC"]
    assert len(rows) == 3
    for row in rows:
        local, utc = map(datetime.fromisoformat, row.split())
        assert (local, local.hour, utc.utcoffset()) == (utc, 7, timedelta())
    shown = call("schedules", "next", "report", "--json", "--store", address).json
    assert (shown["name"], shown["timezone"], len(shown["next"])) == ("report", "Europe/Berlin", 5)
    assert all(one.endswith("Z") for one in shown["next"])
    assert call("schedules", "next", "report", "-n", "0", "--store", address).code == 2


@pytest.mark.usefixtures("store")
def test_next_on_a_terminal(terminal: Callable[..., Ran], address: str) -> None:
    """On a terminal each time has its day, its zone, and how long it is until then."""
    row = COLOUR.sub("", terminal("schedules", "next", "sums", "-n", "1", "--store", address).out).splitlines()[1]
    assert re.fullmatch(r"Mon 2099-01-05 09:00:00 UTC  in \d+d(\d+h)?", row)


def test_next_of_one_that_does_not_tick(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """The times of a paused schedule are told with the word that it is paused."""
    store.schedules.pause("sums")
    ran = call("schedules", "next", "sums", "--store", address)
    assert (len(ran.out.splitlines()), ran.err) == (6, "schedule sums is paused\n")


def test_history(call: Callable[..., Ran], address: str, ticks: str) -> None:
    """The latest tick comes first, each with its job and what became of it, or why it has none."""
    lines = call("schedules", "history", "report", "--store", address).out.splitlines()
    assert [re.split(r"  +", line) for line in lines[1:]] == [
        ["2026-01-07T06:00:00+01:00", "waiting", "its turn comes when the job before it has ended"],
        ["2026-01-06T06:00:00+01:00", "enqueued", f"{GONE} (not kept), by hand"],
        ["2026-01-06T06:00:00+01:00", "skipped", "the queue was full"],
        ["2026-01-05T06:00:00+01:00", "enqueued", f"{ticks} dead"],
    ]
    [latest, gone] = call("schedules", "history", "report", "--limit", "2", "--json", "--store", address).json
    assert (latest["at"], latest["state"], latest["job_id"]) == ("2026-01-07T05:00:00Z", "waiting", None)
    assert (gone["job_id"], gone["job_state"], gone["run"]) == (GONE, None, "manual")
    assert call("schedules", "history", "sums", "--store", address).err == "no ticks so far\n"


def test_run(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """A job is enqueued now, also of a paused schedule; its id is printed, with `--json` the job."""
    store.schedules.pause("sums")
    job = store.jobs.get(call("schedules", "run", "sums", "--store", address).out.strip())
    assert (job.name, job.args, job.state) == ("add", ([1], {"y": 2}), State.QUEUED)
    shown = call("schedules", "run", "report", "--json", "--store", address).json
    assert (shown["queue"], shown["meta"]["schedule"]) == ("paper", "report")


@pytest.mark.usefixtures("worker")
def test_run_and_wait(call: Callable[..., Ran], address: str) -> None:
    """`--wait` prints the result; the exit code is 1 when the job fails, and the line has its error."""
    ran = call("schedules", "run", "sums", "--wait", "--timeout", "20", "--store", address)
    assert (ran.code, ran.out) == (0, "3\n")
    ran = call("schedules", "run", "fails", "--wait", "--timeout", "20", "--store", address)
    assert ran.code == 1
    assert ran.complaint.endswith("(fail) is dead (error): ValueError: never")


def test_pause_and_resume(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """Several are paused and resumed at once; the line says when they tick again."""
    ran = call("schedules", "pause", "sums", "fails", "--reason", "stocktaking", "--store", address)
    assert ran.out == "schedule sums is paused\nschedule fails is paused\n"
    paused = store.schedules.get("fails")
    assert (paused.state, paused.pause_reason) == ("paused", "stocktaking")
    assert paused.paused_by is not None
    assert "@" in paused.paused_by
    [shown] = call("schedules", "resume", "fails", "--json", "--store", address).json
    assert (shown["state"], shown["paused_by"]) == ("active", None)
    said = call("schedules", "resume", "sums", "--store", address).out
    assert re.fullmatch(r"schedule sums ticks in \d+d(\d+h)?, at 2099-01-05T09:00:00\+00:00\n", said)


def test_one_that_ticks_at_once(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """A schedule that counts from the end of jobs begins now, and the line says so."""
    store.schedules.create("chain", store.find("add").new(), every="1h", since="finish")
    store.schedules.pause("chain")
    ran = call("schedules", "resume", "chain", "--store", address)
    assert re.fullmatch(r"schedule chain ticks now\n", ran.out)


@pytest.mark.parametrize("command", ["show", "next", "history", "run", "pause", "resume", "delete"])
def test_an_unknown_name(call: Callable[..., Ran], store: Lineshaft, address: str, command: str) -> None:
    """A schedule that there is not is exit code 1; of several names nothing is done then."""
    more: list[Any] = ["sums"] if command in ("pause", "resume", "delete") else []
    ran = call("schedules", command, *more, "nosuch", *(["--yes"] if command == "delete" else []), "--store", address)
    assert ran.code == 1
    assert "no schedule is named 'nosuch'" in ran.complaint
    assert store.schedules.get("sums").state == "active"


@pytest.mark.parametrize("command", ["show", "next", "history", "run", "pause", "resume", "delete", "update", "reset"])
@pytest.mark.usefixtures("store")
def test_no_name(call: Callable[..., Ran], address: str, command: str) -> None:
    """A command without the name that it needs is wrong use."""
    ran = call("schedules", command, "--store", address)
    assert ran.code == 2
    assert "Missing argument" in ran.complaint


def test_timeout_without_wait(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """`--timeout` alone is wrong use, and nothing is enqueued."""
    ran = call("schedules", "run", "sums", "--timeout", "5", "--store", address)
    assert ran.code == 2
    assert "--timeout says how long to --wait" in ran.complaint
    assert store.jobs.count() == 0
