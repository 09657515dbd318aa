"""Every command, on a terminal and in a pipe, with good and with bad input.

`CASES` has a line for each command; a command without one fails the first test.
"""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft import Concurrency, Lineshaft
from lineshaft.cli import main
from lineshaft.store.rules import Rule, put_rules
from lineshaft.store.upkeep import register_worker
from lineshaft.transitions import State
from tests.cli.conftest import LIMIT_SECONDS, Ran
from tests.cli.test_reference import COMMANDS
from tests.plugins.apps import unmeasured
from tests.plugins.engines import open_engine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.plugins.engines import MakeJob

STORE = "--store sqlite:///jobs.db"
ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@dataclass(frozen=True)
class Case:
    """How a command is called well and badly; `{id}` is a job that waits, `{dead}` one that is dead."""

    good: str
    """A call that succeeds without being asked anything."""
    says: str
    """What its output holds."""
    bad: str
    """A call that is refused."""
    complaint: str
    """What the refusal says."""
    code: int = 2
    """The exit code of the refusal."""
    asks: str | None = None
    """The call without `--yes`: it asks on a terminal and is refused without one."""
    heads: str | None = None
    """The first words of its table's head."""
    until: str | None = None
    """What a command that does not end by itself says when it is to be told to."""
    keys: str = ""
    """What is typed on a terminal then; else SIGTERM comes."""


CASES = {
    "worker": Case("--app work:app worker", "has stopped", "--app work:app worker --queues sums:x", "write name:4",
                   until="ready;"),
    "demo": Case("demo --files 1 --dir shown", "Look at the jobs", "demo --files 0", "Invalid value for '--files'"),
    "migrate": Case(f"migrate {STORE}", "has the newest schema", "migrate --store mysql://x", "not a store address"),
    "jobs list": Case(f"jobs list {STORE}", "{id}", f"jobs list {STORE} --state lost", "'lost' is not one of",
                      heads="id state task"),
    "jobs show": Case(f"jobs show {{dead}} {STORE}", "ValueError: no such page", f"jobs show nosuch {STORE}",
                      "is not a job id", code=1),
    "jobs why": Case(f"jobs why {{id}} {STORE}", "{id}", f"jobs why nosuch {STORE}", "is not a job id", code=1),
    "jobs logs": Case(f"jobs logs {{id}} {STORE}", "", f"jobs logs nosuch {STORE}", "is not a job id", code=1),
    "jobs enqueue": Case(f"jobs enqueue shop.render --args 7 {STORE}", "-",
                         f"jobs enqueue shop.render --args x {STORE}", "is not JSON"),
    "jobs cancel": Case(f"jobs cancel --queue none --yes {STORE}", "cancelled 0 jobs", f"jobs cancel {STORE}",
                        "say what to cancel", asks=f"jobs cancel --queue default {STORE}"),
    "jobs retry": Case(f"jobs retry --queue none --yes {STORE}", "retried 0 jobs",
                       f"jobs retry --all --queue x {STORE}", "say what to retry in one way",
                       asks=f"jobs retry --all {STORE}"),
    "jobs delete": Case(f"jobs delete --queue none --yes {STORE}", "deleted 0 jobs",
                        f"jobs delete nosuch --yes {STORE}",
                        "is not a job id", code=1, asks=f"jobs delete {{id}} {STORE}"),
    "queues list": Case(f"queues list {STORE}", "default", "queues list", "there is no store lineshaft.db", code=1,
                        heads="name state"),
    "queues pause": Case(f"queues pause pdf {STORE}", "queue pdf is paused", f"queues pause {STORE}",
                         "Missing argument"),
    "queues resume": Case(f"queues resume pdf {STORE}", "is running again", f"queues resume a:b {STORE}", "'a:b'"),
    "queues show": Case(f"queues show pdf {STORE}", "queue pdf is", f"queues show a:b {STORE}", "'a:b'"),
    "queues update": Case(f"queues update pdf --max-depth 9 {STORE}", "at most 9",
                          f"queues update pdf --max-depth 0 {STORE}", "whole number from 1"),
    "queues purge": Case(f"queues purge pdf --yes {STORE}", "deleted 0 jobs", f"queues purge {STORE}",
                         "Missing argument", asks=f"queues purge default {STORE}"),
    "limits list": Case(f"limits list {STORE}", "crm", f"limits list {STORE} --all", "No such option",
                        heads="name kind"),
    "limits show": Case(f"limits show crm {STORE}", "3 at once, of each customer", f"limits show nosuch {STORE}",
                        "no limit is named 'nosuch'", code=1),
    "limits update": Case(f"limits update crm --limit 2 {STORE}", "limit crm lets in 2 at once",
                          f"limits update crm --limit 0 {STORE}", "limit=0 of Concurrency"),
    "limits reset": Case(f"limits reset crm {STORE}", "limit crm lets in 3 at once", f"limits reset nosuch {STORE}",
                         "no limit is named 'nosuch'", code=1),
    "breakers list": Case(f"breakers list {STORE}", "smtp", "breakers list", "there is no store lineshaft.db", code=1,
                          heads="name state"),
    "breakers show": Case(f"breakers show smtp {STORE}", "opens at 5 failures in 1m", f"breakers show imap {STORE}",
                          "no breaker is named 'imap'", code=1),
    "breakers open": Case(f"breakers open smtp {STORE}", "smtp is open by hand", f"breakers open {STORE}",
                          "Missing argument"),
    "breakers close": Case(f"breakers close smtp {STORE}", "smtp is closed by hand", f"breakers close imap {STORE}",
                           "no breaker is named 'imap'", code=1),
    "breakers reset": Case(f"breakers reset smtp {STORE}", "breaker smtp is closed", f"breakers reset imap {STORE}",
                           "no breaker is named 'imap'", code=1),
    "schedules list": Case(f"schedules list {STORE}", "nightly", f"schedules list {STORE} --state late",
                           "'late' is not one of", heads="name state"),
    "schedules show": Case(f"schedules show nightly {STORE}", "every day at 02:30", f"schedules show nosuch {STORE}",
                           "no schedule is named 'nosuch'", code=1),
    "schedules next": Case(f"schedules next nightly {STORE}", "02:30:00", f"schedules next nightly -n 0 {STORE}",
                           "'--number'"),
    "schedules history": Case(f"schedules history nightly {STORE}", "enqueued", f"schedules history nosuch {STORE}",
                              "no schedule is named 'nosuch'", code=1, heads="tick state"),
    "schedules check": Case("schedules check @daily --timezone Europe/Berlin", "every day at 00:00 Berlin time",
                            "schedules check @never", "@never"),
    "schedules run": Case(f"schedules run nightly {STORE}", "-", f"schedules run nightly --timeout 5 {STORE}",
                          "--timeout says how long to --wait"),
    "schedules backfill": Case(f"schedules backfill nightly --since 2026-11-01 --until 2026-11-03 {STORE}", "begun",
                               f"schedules backfill nightly --since soon {STORE}", "'soon' is not an ISO 8601 time"),
    "schedules backfills": Case(f"schedules backfills nightly {STORE}", "running",
                                f"schedules backfills nosuch {STORE}", "no schedule is named 'nosuch'", code=1,
                                heads="id state"),
    "schedules cancel-backfill": Case(f"schedules cancel-backfill {{backfill}} {STORE}", "is cancelled",
                                      f"schedules cancel-backfill nosuch {STORE}", "nosuch", code=1),
    "schedules pause": Case(f"schedules pause nightly {STORE}", "schedule nightly is paused",
                            f"schedules pause {STORE}", "Missing argument"),
    "schedules resume": Case(f"schedules resume nightly {STORE}", "schedule nightly ticks in",
                             f"schedules resume nosuch {STORE}", "no schedule is named 'nosuch'", code=1),
    "schedules create": Case(f"schedules create weekly shop.report --cron @weekly {STORE}", "schedule weekly ticks in",
                             f"schedules create weekly shop.report {STORE}", "give exactly one of cron="),
    "schedules expect": Case(f"schedules expect renders shop.render --every 1d {STORE}", "expects a job of shop.render",
                             f"schedules expect renders shop.render {STORE}", "give exactly one of cron="),
    "schedules update": Case(f"schedules update nightly --cron @daily {STORE}", "every day at 00:00",
                             f"schedules update nightly {STORE}", "say what to change"),
    "schedules reset": Case(f"schedules reset nightly {STORE}", "every day at 02:30",
                            f"schedules reset nightly rule {STORE}", "'rule' is not overridden"),
    "schedules delete": Case(f"schedules delete nightly --yes {STORE}", "deleted schedule nightly",
                             f"schedules delete nosuch --yes {STORE}", "no schedule is named 'nosuch'", code=1,
                             asks=f"schedules delete nightly {STORE}"),
    "workers list": Case(f"workers list {STORE}", "here", f"workers list {STORE} --all", "No such option",
                         heads="id host"),
    "workers drain": Case(f"workers drain 1 {STORE}", "asked 1 worker to finish", f"workers drain 99 {STORE}",
                          "there is no worker 99", code=1, asks=f"workers drain --all {STORE}"),
    "tasks list": Case("--app work:app tasks list", "work.add", "tasks list", "needs an app, and none was named",
                       heads="name queue"),
    "top": Case(f"top {STORE} --interval 0.5s", "default", f"top {STORE} --interval 1ms", "must be 0.2s or more",
                until="q quit", keys="q"),
    "backup": Case(f"backup there.backup --yes {STORE}", "backed up 1 unfinished job", f"backup jobs.db {STORE}",
                   "is no backup that could be replaced", asks=f"backup there.backup {STORE}"),
    "restore": Case(f"restore kept.backup --yes {STORE}", "restored 1 unfinished job", f"restore none.backup {STORE}",
                    "none.backup", code=1, asks=f"restore kept.backup {STORE}"),
    "copy": Case("copy sqlite:///apart.db sqlite:///moved.db", "moved 0 unfinished jobs", "copy sqlite:///apart.db",
                 "name FROM and TO"),
    "doctor": Case(f"doctor {STORE}", "jobs.db", f"doctor {STORE} --held soon", "--held"),
    "chaos": Case("--app work:app chaos --store sqlite:///chaos.db --for 0.2s --seed 1 --yes",
                  "every job came to its end", "--app work:app chaos --rate 2", "Invalid value for '--rate'"),
    "bench": Case("bench --jobs 10 --store sqlite:///bench.db", "enqueue", "bench --args 7", "name it"),
    "completion": Case("completion bash", "_LINESHAFT_COMPLETE=bash_complete", "completion tcsh",
                       "'tcsh' is not one of"),
}  # fmt: skip
MAY_FAIL = {"doctor"}
"""What ends with 1 when it has something to tell."""

every_command = pytest.mark.parametrize("words", CASES)


@pytest.fixture
def ids(durable_engine: object, make_job: MakeJob, work: Path) -> dict[str, str]:
    """A store with a waiting and a dead job, a schedule with a tick, a worker's row and a backup."""
    dead = make_job(State.DEAD)
    found = {"id": make_job().id, "dead": dead.id}
    engine = open_engine("sqlite:///jobs.db")
    row: dict[str, Any] = {"host": "here", "pid": 1, "version": "1", "queues": {"default": 1}, "tasks": []}
    engine.write(lambda tx: register_worker(tx, **row, now=engine.clock.now()))
    crm = Rule("crm", "concurrency", Concurrency(3, "customer").terms())
    engine.write(lambda tx: put_rules(tx, [crm], now=engine.clock.now()))
    engine.close()
    with closing(Lineshaft("sqlite:///jobs.db")) as app:
        report = app.task(name="shop.report", breaker="smtp")(_report)
        app.breakers.open("smtp")
        schedule = app.schedules.create("nightly", report.new(), cron="30 2 * * *")
        app.schedules.run(schedule.name).delete()  # the other commands' cases count jobs
        since = datetime(2026, 1, 1, tzinfo=UTC)
        found["backfill"] = app.schedules.backfill("nightly", since, since + timedelta(days=9)).id
    for call in (f"backup kept.backup {STORE}", f"backup there.backup {STORE}", "migrate --store sqlite:///apart.db"):
        assert main(call.split()) == 0
    return found


def _report() -> None: ...


@pytest.fixture
def durable_engine(sqlite_engine: object) -> object:
    """Have jobs made in the store of the tests here."""
    return sqlite_engine


def arguments(call: str, ids: dict[str, str]) -> list[str]:
    """The words of a call."""
    return [word.format(**ids) for word in call.split()]


def in_pipe(words: list[str], until: str | None = None) -> Ran:
    """Run a command without a terminal; when it says `until`, SIGTERM comes."""
    command = [sys.executable, "-m", "lineshaft", *words]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=unmeasured()
    ) as one:
        guard = threading.Timer(LIMIT_SECONDS, one.kill)
        guard.start()
        heard = b""
        if until is not None and one.stderr is not None and words[0] != "top":
            while until.encode() not in heard and (line := one.stderr.readline()):
                heard += line
            one.send_signal(signal.SIGTERM)
        out, err = one.communicate()
        guard.cancel()
    return Ran(one.returncode, out.decode(), (heard + err).decode())


def on_terminal(words: list[str], until: str | None = None, keys: str = "") -> Ran:
    """Run a command on a terminal of 100 columns; when it says `until`, keys are typed, or SIGTERM comes."""
    ours, its = pty.openpty()
    environment = {**unmeasured(), "COLUMNS": "100", "LINES": "40", "TERM": "xterm"}
    with subprocess.Popen(
        [sys.executable, "-m", "lineshaft", *words], stdin=its, stdout=its, stderr=its, env=environment
    ) as one:
        os.close(its)
        guard = threading.Timer(LIMIT_SECONDS, one.kill)
        guard.start()
        if until is None:
            os.write(ours, keys.encode())
        shown, is_told = b"", until is None
        while piece := _read(ours):
            shown += piece
            if not is_told and until is not None and until.encode() in shown:
                is_told = True
                os.write(ours, keys.encode()) if keys else one.send_signal(signal.SIGTERM)
        code = one.wait()
        guard.cancel()
    os.close(ours)
    return Ran(code, shown.decode(), "")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux's way to say that nobody has the other end open
        return b""


def test_every_command_has_a_case() -> None:
    """A command that is added is run here: its line says how."""
    assert {" ".join(words) for words in COMMANDS} == CASES.keys()


@every_command
def test_good_input_in_a_pipe(words: str, ids: dict[str, str]) -> None:
    """In a pipe a command succeeds with plain text: no colour, nothing drawn over, no traceback."""
    case = CASES[words]
    ran = in_pipe(arguments(case.good, ids), case.until)
    assert ran.code == 0 or words in MAY_FAIL, ran.err
    assert case.says.format(**ids) in ran.out + ran.err
    assert not ANSI.search(ran.out + ran.err)
    assert "Traceback" not in ran.err
    if case.heads is not None:
        head, *rows = ran.out.splitlines()
        assert " ".join(head.split()).startswith(case.heads)
        assert rows


@every_command
def test_good_input_on_a_terminal(words: str, ids: dict[str, str]) -> None:
    """On a terminal it succeeds too; its table is aligned and no line is longer than the terminal is wide."""
    case = CASES[words]
    ran = on_terminal(arguments(case.good, ids), case.until, case.keys)
    assert ran.code == 0 or words in MAY_FAIL, ran.out
    shown = ANSI.sub("", ran.out)
    assert "Traceback" not in shown
    assert case.says.format(**ids) in shown
    if case.heads is not None:
        head, *rows = shown.splitlines()
        assert " ".join(head.split()).startswith(case.heads)
        assert all(len(line) <= 100 for line in (head, *rows))
        starts = [found.start() for found in re.finditer(r"(?<=  )\S", head)]
        assert rows
        assert any(all(row[:at][-2:] == "  " for row in rows) for at in starts)


@every_command
def test_bad_input(words: str, ids: dict[str, str]) -> None:
    """What cannot be meant, or is not there, is refused in one line, in a pipe and on a terminal alike."""
    case = CASES[words]
    piped, shown = in_pipe(arguments(case.bad, ids)), on_terminal(arguments(case.bad, ids))
    assert (piped.code, shown.code) == (case.code, case.code), piped.err
    [line] = [line for line in piped.err.splitlines() if line.startswith("lineshaft: ")]
    assert case.complaint in line
    assert line in [" ".join(one.split()) for one in ANSI.sub("", shown.out).splitlines()]
    assert not ANSI.search(piped.out + piped.err)
    assert "Traceback" not in piped.err + shown.out


@pytest.mark.parametrize("words", [words for words, case in CASES.items() if case.asks is not None])
def test_what_cannot_be_undone_asks(words: str, ids: dict[str, str]) -> None:
    """Without `--yes` it asks on a terminal, where no is an answer, and is refused where there is none to ask on."""
    asks = CASES[words].asks
    assert asks is not None
    piped = in_pipe(arguments(asks, ids))
    assert piped.code == 2
    assert "Add --yes to do it" in piped.err
    assert len(piped.err.splitlines()) == 1
    refused = on_terminal(arguments(asks, ids), until="[y/N]", keys="n\n")
    assert refused.code == 1
    assert "nothing was done" in refused.out
    agreed = on_terminal(arguments(asks, ids), until="[y/N]", keys="y\n")
    assert agreed.code == 0, agreed.out
