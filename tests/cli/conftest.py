"""The command line in this process, as a process of its own, and on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from lineshaft import Lineshaft
from lineshaft.cli import main
from tests.plugins.apps import unmeasured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LIMIT_SECONDS = 30

WORK = """
from datetime import date
from lineshaft import Lineshaft, Retry

app = Lineshaft("sqlite:///jobs.db")

@app.task(queue="sums", timeout=90)
def add(x: int, y: int = 1) -> int:
    return x + y

@app.task(retry=None)
def fail(x: int) -> None:
    raise ValueError(f"no {x}")

@app.task(keep_result=False)
async def next_day(day: date) -> date:
    return day
"""


@dataclass(frozen=True)
class Ran:
    """What a command gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output as JSON."""
        return msgspec.json.decode(self.out)

    @property
    def complaint(self) -> str:
        """The one line that a failed command says, without the program's name; it says nothing else."""
        [line] = self.err.splitlines()
        assert self.out == ""
        assert line.startswith("lineshaft: ")
        return line.removeprefix("lineshaft: ")


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run each test in an empty folder, with no app and no store in the environment."""
    for name in ("LINESHAFT_APP", "LINESHAFT_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run a command in this process, without a terminal."""

    def run(*arguments: str) -> Ran:
        code = main(arguments)
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return run


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start a command as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "lineshaft", *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        **{"env": unmeasured(), **options},
    )  # fmt: skip


@pytest.fixture
def process() -> Callable[..., Ran]:
    """Run a command as a process of its own, without a terminal."""

    def run(*arguments: str, **options: Any) -> Ran:
        with start(*arguments, **options) as one:
            out, err = one.communicate(timeout=LIMIT_SECONDS)
        return Ran(one.returncode, out, err)

    return run


@pytest.fixture
def terminal() -> Callable[..., Ran]:
    """Run a command on a terminal of 80 columns, typing `answer`; what it shows is all in `out`."""

    def run(*arguments: str, answer: str = "") -> Ran:
        ours, its = pty.openpty()
        environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm"}
        command = [sys.executable, "-m", "lineshaft", *arguments]
        with subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environment) as one:
            os.close(its)
            os.write(ours, answer.encode())
            shown = b"".join(iter(lambda: _read(ours), b""))
            code = one.wait(LIMIT_SECONDS)
        os.close(ours)
        return Ran(code, shown.decode(), "")

    return run


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux's way to say that nobody has the other end open
        return b""


@pytest.fixture
def store(address: str) -> Iterator[Lineshaft]:
    """The store under test, on each engine in turn; `address` is where it is."""
    app = Lineshaft(address)
    yield app
    app.close()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """An app in work.py of the current folder."""
    (tmp_path / "work.py").write_text(WORK)
    return tmp_path
