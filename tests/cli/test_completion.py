"""Completion: in a real bash, and of what the store knows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.shell_completion import get_completion_class

from lineshaft.cli.completion import VARIABLE
from lineshaft.cli.root import COMMANDS, root
from tests.plugins.apps import unmeasured

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft import Lineshaft
    from tests.cli.conftest import Ran
    from tests.plugins.engines import MakeJob

# Asks as a TAB does: bash's own function for `lineshaft` fills COMPREPLY.
TAB = """
eval "$(lineshaft completion bash)"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
$(complete -p lineshaft | sed 's/.*-F \\([^ ]*\\) .*/\\1/') lineshaft
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A folder with a program `lineshaft`, as an installation has it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "lineshaft").write_text(f'#!/bin/sh\nexec {sys.executable} -m lineshaft "$@"\n')
    (folder / "lineshaft").chmod(0o755)
    return folder


@pytest.fixture
def tab(program: Path) -> Callable[..., list[str]]:
    """Type words in a real bash, press TAB at the end of the last, and return what is offered."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash here")

    def press(*words: str, **environment: str) -> list[str]:
        shown = subprocess.run(
            [bash, "--norc", "-c", TAB, "bash", "lineshaft", *words],
            env={**unmeasured(), "PATH": f"{program}:{os.environ['PATH']}", **environment},
            capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert shown.stderr == ""
        return shown.stdout.split()

    return press


def test_commands_and_options_complete_in_bash(tab: Callable[..., list[str]]) -> None:
    """A TAB offers the commands, those of a group, the options of a command and the values of a choice."""
    assert tab("") == list(COMMANDS)
    assert tab("work") == ["worker", "workers"]
    assert tab("queues", "p") == ["pause", "purge"]
    assert tab("jobs", "list", "--st") == ["--state", "--store"]
    assert tab("jobs", "list", "--state", "ret") == ["retrying"]
    assert tab("completion", "") == ["bash", "zsh", "fish"]


def test_what_the_store_knows_completes_in_bash(
    tab: Callable[..., list[str]], store: Lineshaft, address: str, make_job: MakeJob
) -> None:
    """Queues, tasks, schedules, job ids and workers are offered from the store that the line names."""
    job = make_job(queue="pdf")
    store.schedules.create("nightly", store.task(name="shop.report")(_report).new(), cron="@daily")
    store.queues.pause("paint")
    with store.worker({"print": 1}) as running:
        assert tab("queues", "pause", "--store", address, "p") == ["paint", "pdf", "print"]
        assert tab("--store", address, "jobs", "show", job.id[:4]) == [job.id]
        assert tab("--store", address, "schedules", "pause", "n") == ["nightly"]
        assert tab("--store", address, "schedules", "show", "nightly") == ["nightly"]
        assert tab("--store", address, "schedules", "show", "o") == []
        assert tab("workers", "drain", "", LINESHAFT_STORE=address) == [str(running.worker.id)]
    assert tab("jobs", "list", "--queue", "m", LINESHAFT_STORE=address) == []


def _report() -> None: ...


def test_tasks_complete_from_the_workers(tab: Callable[..., list[str]], store: Lineshaft, address: str) -> None:
    """Task names are those that the store's workers run: the user's code is not imported for them."""

    @store.task(name="shop.render")
    def render() -> None: ...

    with store.worker({"default": 1}):
        assert tab("jobs", "enqueue", "shop", LINESHAFT_STORE=address) == ["shop.render"]


@pytest.mark.parametrize(
    "address", ["sqlite:///none.db", "postgresql://nobody@127.0.0.1:9/none", "mysql://x", "postgresql://192.0.2.1/x"]
)
def test_a_store_that_does_not_answer_completes_nothing(
    tab: Callable[..., list[str]], address: str, tmp_path: Path
) -> None:
    """A store that is not there, or does not answer, offers nothing within seconds, says nothing and is not made."""
    before = sorted(tmp_path.iterdir())
    started = time.monotonic()
    assert tab("queues", "pause", "--store", address, "") == []
    assert time.monotonic() - started < 20  # it gives up after two seconds; a driver would wait for minutes
    assert sorted(tmp_path.iterdir()) == before


def test_an_empty_file_stays_empty(tab: Callable[..., list[str]], tmp_path: Path) -> None:
    """A TAB writes nothing into a database that holds no store."""
    (tmp_path / "jobs.db").touch()
    assert tab("queues", "pause", "--store", "sqlite:///jobs.db", "") == []
    assert (tmp_path / "jobs.db").read_bytes() == b""


def test_what_the_apps_module_prints_is_not_offered(tab: Callable[..., list[str]], work: Path) -> None:
    """An app is imported for its store's address; its prints, errors and threads go nowhere."""
    (work / "loud.py").write_text("print('hello')\nfrom work import app\napp.queues.pause('sums')\nprint('bye')\n")
    assert tab("--app", "loud:app", "queues", "resume", "") == ["sums"]
    (work / "broken.py").write_text("print('hello')\n1 / 0\n")
    assert tab("--app", "broken:app", "queues", "resume", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(call: Callable[..., Ran], shell: str) -> None:
    """The script is click's for this shell, and asks this program."""
    ran = call("completion", shell)
    kind = get_completion_class(shell)
    assert kind is not None
    assert ran.code == 0
    assert ran.out == kind.source_template % kind(root, {}, "lineshaft", VARIABLE).source_vars()


def test_completing_a_command_imports_no_other(tmp_path: Path) -> None:
    """A TAB loads the command that the line names, and nothing that draws, measures or serves."""
    code = (
        "import sys; from lineshaft.cli import main; main();"
        "print([name for name in sys.modules if name.startswith(('rich', 'psycopg', 'lineshaft.cli.'))])"
    )
    environment = {**unmeasured(), VARIABLE: "bash_complete", "COMP_WORDS": "lineshaft wor", "COMP_CWORD": "1"}
    shown = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert shown[:2] == ["plain,worker", "plain,workers"]
    loaded = {"main", "interrupts", "root", "session", "completion", "output"}
    assert set(eval(shown[-1])) == {f"lineshaft.cli.{name}" for name in loaded}  # noqa: S307 - our own list
