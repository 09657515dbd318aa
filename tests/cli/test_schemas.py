"""What `--json` prints is what its schema says, on each engine."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from lineshaft import Concurrency, Rate
from lineshaft.cli.schemas import OUTPUTS, schema
from lineshaft.errors import ConfigError
from lineshaft.transitions import State
from tests.cli.conftest import Ran
from tests.cli.test_reference import COMMANDS, options

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lineshaft import Lineshaft, Task
    from tests.plugins.engines import MakeJob

CALLS = {
    "migrate": ["migrate", "migrate --check"],
    "jobs list": ["jobs list", "jobs list --all", "jobs list --state dead"],
    "jobs show": [f"jobs show {{{state}}}" for state in ("queued", "running", "completed", "dead", "retrying")],
    "jobs why": [f"jobs why {{{state}}}" for state in ("queued", "running", "completed", "dead", "retrying")],
    "jobs logs": ["jobs logs {logged}", "jobs logs {queued}"],
    "jobs enqueue": ['jobs enqueue shop.render --args 7 --tag a --meta {{"by":1}} --deadline 1h --tenant acme'],
    "jobs enqueue --wait": ["jobs enqueue work.add --args 7 --wait"],
    "jobs cancel": ["jobs cancel {scheduled} --yes", "jobs cancel --queue none --yes"],
    "jobs retry": ["jobs retry {dead}", "jobs retry {completed}"],
    "jobs delete": ["jobs delete {cancelled} nosuch --yes"],
    "queues list": ["queues list"],
    "queues pause": ["queues pause pdf mail"],
    "queues resume": ["queues resume pdf"],
    "queues show": ["queues show pdf"],
    "queues update": ["queues update pdf --max-depth 5", "queues update pdf --concurrency 3 --rate 5/30s",
                      "queues update pdf --fair key --weight acme=3"],
    "queues purge": ["queues purge mail --yes"],
    "breakers list": ["breakers list"],
    "breakers show": ["breakers show smtp"],
    "breakers open": ["breakers open smtp"],
    "breakers close": ["breakers close smtp"],
    "breakers reset": ["breakers reset smtp"],
    "limits list": ["limits list"],
    "limits show": ["limits show crm", "limits show api"],
    "limits update": ["limits update api --rate 5/30s --burst 9"],
    "limits reset": ["limits reset crm"],
    "schedules list": ["schedules list", "schedules list --state paused", "schedules list --system"],
    "schedules show": ["schedules show coded", "schedules show made", "schedules show expected"],
    "schedules next": ["schedules next coded"],
    "schedules history": ["schedules history coded", "schedules history made"],
    "schedules check": ["schedules check @daily --country DE --closed 2099-01-02", "schedules check --every 1h"],
    "schedules run": ["schedules run made"],
    "schedules run --wait": ["schedules run made --wait"],
    "schedules backfill": ["schedules backfill made --since 2026-11-01 --until 2026-11-03 --only-missing"],
    "schedules backfills": ["schedules backfills made"],
    "schedules cancel-backfill": ["schedules cancel-backfill {backfill}"],
    "schedules pause": ["schedules pause made coded --reason x"],
    "schedules resume": ["schedules resume made coded"],
    "schedules create": ["schedules create new work.add --every 1h --jitter 1m --finish-within 2h --end 2099-01-01"],
    "schedules expect": ["schedules expect renders shop.render --every 1d"],
    "schedules update": ["schedules update coded --days daily --time 9:00 --tag a --start 2099-01-01"],
    "schedules reset": ["schedules reset coded jitter", "schedules reset coded"],
    "schedules delete": ["schedules delete made --yes"],
    "workers list": ["workers list"],
    "workers drain": ["workers drain 99"],
    "tasks list": ["tasks list"],
    "top": ["top"],
    "backup": ["backup there.backup"],
    "restore": ["restore there.backup --yes"],
    "copy": ["copy sqlite:///apart.db sqlite:///moved.db"],
    "copy --reopen": ["copy sqlite:///apart.db --reopen --yes"],
    "doctor": ["doctor"],
    "chaos": ["chaos --for 0.2s --seed 1 --yes --store sqlite:///chaos.db"],
    "bench": ["bench --jobs 10 --store sqlite:///bench.db"],
}  # fmt: skip
BEFORE = {
    "restore": ["backup there.backup"],
    "copy": ["migrate --store sqlite:///apart.db"],
    "copy --reopen": ["migrate --store sqlite:///apart.db", "copy sqlite:///apart.db sqlite:///moved.db"],
}
"""What is done first."""
NEED_NO_STORE = ("schedules check",)
NEED_APP = ("tasks list", "chaos", "bench", "jobs enqueue --wait")
MADE = (State.COMPLETED, State.RETRYING, State.CANCELLED, State.DEAD, State.RUNNING, State.SCHEDULED, State.QUEUED)


FORMATS = jsonschema.FormatChecker()


@FORMATS.checks("date-time", raises=ValueError)
def is_moment(value: object) -> bool:
    """Tell whether a text is an ISO 8601 time with its zone."""
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


def valid(ran: Ran, command: str) -> Any:
    """What a command printed, if its schema allows it."""
    found = json.loads(ran.out)
    jsonschema.validate(found, schema(command), format_checker=FORMATS)
    return found


@pytest.fixture
def ids(store: Lineshaft, make_job: MakeJob) -> dict[str, str]:
    """A job in each state, one that has logged, and a schedule of each kind."""
    found = {state.value: make_job(state, queue=f"q-{state}").id for state in MADE}

    @store.task(name="talk", breaker="smtp", concurrency=Concurrency(2, name="crm"), rate=Rate(9, "1s", name="api"))
    def talk() -> None:
        import logging

        logging.getLogger("shop").warning("no paper")

    backfill = plan(store, talk)
    job = store.enqueue("talk")
    with store.worker({"default": 1}):
        job.wait(20)
    return found | {"logged": job.id, "backfill": backfill}


def plan(store: Lineshaft, task: Task[[], None, Any]) -> str:
    """Have a schedule that was changed, one that has run, one that expects something; return the id of a backfill."""

    @store.task(name="work.add", queue="sums")
    def add(x: int, y: int = 1) -> int:
        return x + y

    store.schedule(name="coded", cron="0 6 * * *", timezone="Europe/Berlin")(task)
    store.schedules.sync()
    store.schedules.update("coded", jitter="1m", queue="other")
    store.schedules.create("made", add.new(1), every="1d", end=datetime(2099, 1, 1, tzinfo=UTC))
    store.schedules.run("made")
    store.schedules.expect("expected", task, every="1d")
    since = datetime(2026, 1, 1, tzinfo=UTC)
    return store.schedules.backfill("made", since, since + timedelta(days=9)).id


@pytest.mark.timeout(120)
@pytest.mark.parametrize("command", CALLS)
def test_json_is_what_its_schema_says(
    process: Callable[..., Ran], call: Callable[..., Ran], ids: dict[str, str], address: str, work: Path, command: str
) -> None:
    """Each key is named by the schema, none is missing, and each value is of its type."""
    for words in (*BEFORE.get(command, ()), *CALLS[command]):
        given = [word.format(**ids) for word in words.split()]
        if "--wait" not in words and "sqlite:///" not in words and command not in NEED_NO_STORE:
            given += ["--store", address]
        if command.endswith("--wait"):
            ran = beside_a_worker(work, address, given)
        elif command in NEED_APP:
            ran = process("--app", "work:app", "--json", *given)
        else:
            ran = call("--json", *given)
        assert ran.out, ran.err
        if words in CALLS[command]:
            valid(ran, command)


def beside_a_worker(work: Path, address: str, given: list[str]) -> Ran:
    """Run a command while a worker of its app runs in the same process."""
    (work / "both.py").write_text(
        f"import work\nwork.app.use_store({address!r})\nwith work.app.worker():\n"
        f"    from lineshaft.cli import main\n    code = main({['--app', 'work:app', '--json', *given]!r})\n"
    )
    done = subprocess.run([sys.executable, "both.py"], cwd=work, capture_output=True, text=True, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)


def test_every_command_with_json_has_a_schema() -> None:
    """A command that takes `--json` says what it prints, and a test above looks at it."""
    with_json = {" ".join(words) for words, command in COMMANDS.items() if "--json" in options(command)}
    assert with_json == {name.partition(" --")[0] for name in OUTPUTS}
    assert CALLS.keys() == OUTPUTS.keys()


@pytest.mark.parametrize("command", OUTPUTS)
def test_schemas_are_schemas(command: str) -> None:
    """Each is one of its draft, and closed: a key that it does not name is refused."""
    found = schema(command)
    jsonschema.Draft202012Validator.check_schema(found)
    assert found["title"] == f"lineshaft {command}"
    assert "additionalProperties" in json.dumps(found)


def test_a_wrong_key_is_refused(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """The schemas can fail: one key more or less is seen."""
    store.queues.pause("pdf")
    [queue] = valid(call("queues", "list", "--json", "--store", address), "queues list")
    for wrong in (queue | {"more": 1}, {"name": "pdf"}, queue | {"depth": "1"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate([wrong], schema("queues list"))


def test_a_command_without_json_has_none() -> None:
    """Asking for the schema of a command that prints none names those that do."""
    with pytest.raises(ConfigError, match="'worker' with --json; it is one of migrate, jobs list"):
        schema("worker")
