"""What every command shares: help, exit codes, one-line errors, quiet ends."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from lineshaft import Lineshaft
from lineshaft.app.jobs import Jobs
from lineshaft.cli.root import COMMANDS, root
from lineshaft.version import VERSION
from tests.cli.conftest import LIMIT_SECONDS, start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran


def test_help_lists_every_command() -> None:
    """`--help` names each command with a line of help."""
    shown = CliRunner().invoke(root, ["--help"])
    assert shown.exit_code == 0
    for name, (_, line) in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(line)}$", shown.output, re.MULTILINE)


def test_help_of_a_command_matches_its_line_in_the_list() -> None:
    """Each command that the list names is there, and its own help can be read."""
    for name in COMMANDS:
        assert CliRunner().invoke(root, [name, "--help"]).exit_code == 0, name


def test_version() -> None:
    """`--version` prints the package's version."""
    assert CliRunner().invoke(root, ["--version"]).output == f"lineshaft {VERSION}\n"


def test_help_loads_no_command() -> None:
    """Asking for help, or running a worker, does not load what draws tables: it would cost each worker its memory."""
    code = (
        "import sys; from lineshaft.cli import main; main(['--help']); import lineshaft.cli.session;"
        "print([name for name in sys.modules if name.startswith(('rich', 'psycopg', 'lineshaft.cli.jobs'))])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1] == "[]"


@pytest.mark.parametrize("arguments", [(), ("jobs",), ("queues",)])
def test_no_command_shows_the_help(call: Callable[..., Ran], arguments: tuple[str, ...]) -> None:
    """A command line that asks for nothing is wrong use, and is answered with what there is."""
    ran = call(*arguments)
    assert ran.code == 2
    assert "Commands:" in ran.err


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["nosuch"], "No such command 'nosuch'; see 'lineshaft --help'"),
        (["jobs", "nosuch"], "No such command 'nosuch'; see 'lineshaft jobs --help'"),
        (["jobs", "show"], "Missing argument 'ID'; see 'lineshaft jobs show --help'"),
        (["jobs", "list", "--limit", "0"], "Invalid value for '--limit'"),
        (["jobs", "list", "--state", "lost"], "'lost' is not one of 'blocked', 'scheduled'"),
        (["jobs", "list", "--store", "mysql://x"], "'mysql://x' is not a store address"),
        (["tasks", "list"], "needs an app, and none was named; give --app module:name, set LINESHAFT_APP"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(call: Callable[..., Ran], arguments: list[str], said: str) -> None:
    """What cannot be meant is refused in one line that says what to do, with exit code 2."""
    ran = call(*arguments)
    assert ran.code == 2
    assert said in ran.complaint


def test_a_store_that_cannot_be_reached_is_one_line_and_exit_code_1(call: Callable[..., Ran]) -> None:
    """A server that is not there fails the command in one line that names it."""
    ran = call("jobs", "list", "--store", "postgresql://nobody:secret@127.0.0.1:9/none")
    assert ran.code == 1
    assert "127.0.0.1" in ran.complaint
    assert "secret" not in ran.err


def test_debug_shows_the_traceback(call: Callable[..., Ran]) -> None:
    """With `--debug` the traceback stands above the line, and without it nothing does."""
    for arguments in (["--debug", "jobs", "list"], ["jobs", "list", "--debug"]):
        ran = call(*arguments)
        assert ran.code == 1
        assert ran.err.startswith("Traceback")
        assert ran.err.splitlines()[-1].startswith("lineshaft: there is no store")


def test_the_default_store_is_not_made_by_looking(call: Callable[..., Ran], tmp_path: Path) -> None:
    """A listing in a folder without a store says so and leaves no empty store there."""
    assert "there is no store lineshaft.db in" in call("jobs", "list").complaint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", [0, 1, 2])
def test_shared_options_stand_anywhere(call: Callable[..., Ran], place: int) -> None:
    """`--store` and `--json` mean the same before, between and after the command's words."""
    words = ["queues", "list"]
    words[place:place] = ["--store", "sqlite:///here.db", "--json"]
    assert call(*words).json == []


def test_the_last_store_wins(call: Callable[..., Ran], tmp_path: Path) -> None:
    """A store named after the command beats one named before it."""
    assert call("--store", "sqlite:///one.db", "queues", "list", "--store", "sqlite:///two.db").code == 0
    assert [path.name for path in tmp_path.glob("*.db")] == ["two.db"]


def test_a_reader_who_has_enough_is_no_error(tmp_path: Path) -> None:
    """When the reader of a pipe goes, the command ends without a word, as `head` wants it."""
    with Lineshaft(f"sqlite:///{tmp_path / 'jobs.db'}").transaction():
        pass
    app = Lineshaft(f"sqlite:///{tmp_path / 'jobs.db'}")
    app.enqueue_many([app._intake.by_name("shop.render", ["x" * 500], {}) for _ in range(1_000)])
    app.close()
    with start("jobs", "list", "--all", "--json", "--store", "sqlite:///jobs.db") as one:
        assert one.stdout is not None
        assert one.stderr is not None
        assert one.stdout.readline().startswith("[{")
        one.stdout.close()
        assert one.stderr.read() == ""
        assert one.wait(LIMIT_SECONDS) == 128 + signal.SIGPIPE


def test_ctrl_c_ends_quietly(tmp_path: Path) -> None:
    """Ctrl-C ends a command that waits with exit code 130 and without a traceback."""
    app = Lineshaft(f"sqlite:///{tmp_path / 'jobs.db'}")
    app.migrate()
    with start("--store", "sqlite:///jobs.db", "jobs", "enqueue", "shop.render", "--wait") as one:
        while not app.jobs.count():
            assert one.poll() is None
        one.send_signal(signal.SIGINT)
        out, err = one.communicate(timeout=LIMIT_SECONDS)
    app.close()
    assert (one.returncode, out, err) == (130, "", "")


@pytest.mark.parametrize("raised, code", [("KeyboardInterrupt", 130), ("SystemExit(143)", 143)])
def test_a_signal_that_python_swallows_comes_again(tmp_path: Path, raised: str, code: int) -> None:
    """What a signal's handler raises inside a destructor, where Python drops it, ends the command all the same."""
    (tmp_path / "trap.py").write_text(
        "from lineshaft import Lineshaft\n"
        "app = Lineshaft()\n"
        "@app.task(name='shop.render')\ndef render(): ...\n"
        f"class Trap:\n    def __del__(self):\n        raise {raised}\n"
        "Trap()\n"
    )
    with start("--app", "trap:app", "jobs", "enqueue", "shop.render", "--wait") as one:
        out, err = one.communicate(timeout=LIMIT_SECONDS)
    assert (one.returncode, out, err) == (code, "", "")


def test_an_error_of_our_own_is_told_in_one_line(call: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect of Lineshaft itself ends in one line too, with the way to see where it is."""
    monkeypatch.setattr(Jobs, "list", lambda *_, **__: 1 // 0)
    ran = call("jobs", "list", "--store", "sqlite:///jobs.db")
    assert ran.code == 1
    assert ran.complaint == "unexpected ZeroDivisionError: integer division or modulo by zero; --debug shows where"
