"""How the app is found and imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran

PROJECT = '[tool.lineshaft]\napp = "work:app"\n'


def names(ran: Ran) -> list[str]:
    """The tasks that a command listed."""
    assert ran.code == 0, ran.err
    return [task["name"] for task in ran.json]


ALL = ["work.add", "work.fail", "work.next_day"]


def test_app_of_the_option(process: Callable[..., Ran], work: Path) -> None:
    """`--app module:name` imports the module from the current folder."""
    assert names(process("--app", "work:app", "tasks", "list", "--json")) == ALL


def test_app_of_the_environment(process: Callable[..., Ran], work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`$LINESHAFT_APP` names the app where the option does not, and the option beats it."""
    monkeypatch.setenv("LINESHAFT_APP", "work:app")
    assert names(process("tasks", "list", "--json")) == ALL
    assert "no module 'other'" in process("tasks", "list", "--app", "other:app").complaint


def test_app_of_the_project(process: Callable[..., Ran], work: Path) -> None:
    """`[tool.lineshaft] app` of the nearest pyproject.toml that has it names the app, from folders below too."""
    below = work / "docs" / "pages"
    below.mkdir(parents=True)
    (work / "pyproject.toml").write_text(PROJECT)
    (below / "pyproject.toml").write_text("[project]\nname = 'pages'\n")
    assert names(process("tasks", "list", "--json", cwd=below)) == ALL


@pytest.mark.parametrize(
    "app, code, said",
    [
        ("work", 2, "'work' does not name an app; write module:name"),
        ("nowhere:app", 2, "there is no module 'nowhere'"),
        ("work:application", 2, "work:application does not exist; name work:app"),
        ("work:add", 2, "work:add is a Task, not a Lineshaft app; name work:app"),
        ("broken:app", 1, "the app's module 'broken' cannot be imported: NameError: name 'oops' is not defined"),
        ("lacking:app", 1, "the app's module 'lacking' cannot be imported: ModuleNotFoundError: No module named 'nix'"),
        ("wrong:app", 2, "the app's module 'wrong' cannot be imported: ConfigError: 'ftp://x' is not a store address"),
        ("leaving:app", 1, "the app's module 'leaving' cannot be imported: SystemExit: 3"),
    ],
)
def test_an_app_that_cannot_be_had(process: Callable[..., Ran], work: Path, app: str, code: int, said: str) -> None:
    """Each way not to get at an app is one line that names the module and the reason."""
    for name, text in {
        "broken": "oops",
        "lacking": "import nix",
        "wrong": "from lineshaft import Lineshaft\napp = Lineshaft('ftp://x')",
        "leaving": "import sys; sys.exit(3)",
    }.items():
        (work / f"{name}.py").write_text(text)
    ran = process("--app", app, "tasks", "list")
    assert ran.code == code
    assert said in ran.complaint


def test_debug_shows_where_the_module_broke(process: Callable[..., Ran], work: Path) -> None:
    """With `--debug` the line of the user's module that failed is shown."""
    (work / "broken.py").write_text("\n\noops")
    shown = process("--app", "broken:app", "tasks", "list", "--debug").err
    assert 'broken.py", line 3' in shown


@pytest.mark.parametrize("text", ["[tool.lineshaft]\napp = 7\n", "[tool.lineshaft\n"])
def test_a_broken_project_file_is_named(call: Callable[..., Ran], tmp_path: Path, text: str) -> None:
    """A pyproject.toml that cannot be read, or names no app, is named in the one line."""
    (tmp_path / "pyproject.toml").write_text(text)
    ran = call("tasks", "list")
    assert ran.code == 2
    assert "pyproject.toml" in ran.complaint


def test_the_apps_store_is_used(process: Callable[..., Ran], work: Path) -> None:
    """Commands that need only a store take the app's, and `--store` beats it."""
    assert process("--app", "work:app", "jobs", "enqueue", "work.add", "--args", "1").code == 0
    assert len(process("--app", "work:app", "jobs", "list", "--json").json) == 1
    assert process("--app", "work:app", "jobs", "list", "--json", "--store", "sqlite:///other.db").json == []
    assert process("--app", "work:app", "jobs", "enqueue", "work.add", "--args", "1", "--store",
                   "sqlite:///other.db").code == 0  # fmt: skip
    assert len(process("jobs", "list", "--json", "--store", "sqlite:///other.db").json) == 1


def test_a_named_store_needs_no_app(process: Callable[..., Ran], work: Path) -> None:
    """With `--store`, a command that only needs the store does not import the user's code, broken as it may be."""
    (work / "broken.py").write_text("oops")
    assert process("--app", "broken:app", "queues", "list", "--json", "--store", "sqlite:///jobs.db").json == []


def test_imported_modules_are_listed(process: Callable[..., Ran], work: Path) -> None:
    """`tasks list` shows the tasks of the modules that the app's `imports=` names."""
    (work / "main.py").write_text("from lineshaft import Lineshaft\napp = Lineshaft(imports=['parts'])\n")
    (work / "parts.py").write_text("from main import app\n@app.task\ndef press(x): ...\n")
    shown = process("--app", "main:app", "tasks", "list", "--json")
    assert names(shown) == ["parts.press"]
    assert shown.json[0] == {
        "name": "parts.press", "queue": "default", "runs_in": "thread", "priority": 0, "max_attempts": 3,
        "timeout": None, "parameters": ["x"],
    }  # fmt: skip


def test_tasks_as_text(process: Callable[..., Ran], work: Path) -> None:
    """Without a terminal, tasks stand in aligned columns without colour."""
    shown = process("--app", "work:app", "tasks", "list").out
    assert shown.splitlines() == [
        "name           queue    runs in  priority  attempts  timeout",
        "work.add       sums     thread          0         3    1m30s",
        "work.fail      default  thread          0         1",
        "work.next_day  default  async           0         3",
    ]
