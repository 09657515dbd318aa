"""The quickstart does what it shows: its commands, on a terminal, in a folder that holds only the files of the page."""

from __future__ import annotations

import errno
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from lineshaft import Lineshaft
from tests.docs.test_snippets import ROOT, Block, blocks, page_blocks
from tests.plugins.apps import eventually, unmeasured

PAGE: Final = ROOT / "docs" / "quickstart.md"
SIZE: Final = (40, 120)
LIMIT: Final = 40.0
ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
VOLATILE: Final = {  # what is another text each time: the ids, which are looked up, are not among them
    r" *\d+s ago": r" *\d+[sm] ago",
    r"\d{4}-\d\d-\d\dT[\d:.]+Z": r"[\d:TZ.-]+",
    r'File "[^"]*/': r'File "[^"]*/',
    r"…\\?\n": r"(?s:.*)",
}
ELSEWHERE: Final = ("python -m venv", ". .venv", "pip install", "createdb", "export")
"""How the commands begin that make an environment or a database; the tests have both."""


class Newcomer:
    """Types the page's commands, and remembers which id of the page stands for which of the store."""

    def __init__(self, folder: Path, store: str) -> None:
        commands = folder / "bin"
        commands.mkdir()
        for name, words in {"python": "", "lineshaft": " -m lineshaft"}.items():
            script = commands / name
            script.write_text(f'#!/bin/sh\nexec {sys.executable}{words} "$@"\n')
            script.chmod(0o755)
        self.folder = folder
        self.environment = {
            **unmeasured(),
            "PATH": f"{commands}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
            "LINESHAFT_STORE": store,
            "NO_COLOR": "1",
            "TERM": "xterm",
        }
        for name in ("COLUMNS", "LINES"):  # these would beat the terminal's own size
            self.environment.pop(name, None)
        self.store = Lineshaft(store)
        self.ids: dict[str, str] = {}
        self.workers: list[subprocess.Popen[bytes]] = []

    def type(self, command: str) -> str:
        """Run a command on a terminal and return what it showed; a worker goes on beside the others."""
        for shown, real in self.ids.items():
            command = command.replace(shown, real)
        if command.startswith("lineshaft worker"):
            self.workers.append(self._start(command, subprocess.DEVNULL))
            return ""
        if self.workers:  # a person looks a few seconds later
            eventually(lambda: self.store.jobs.count(state=["queued", "running", "retrying"]) == 0, limit=LIMIT)
        ours, its = pty.openpty()
        termios.tcsetwinsize(its, SIZE)
        process = self._start(command, its)
        os.close(its)
        said = "".join(_read(ours))
        process.wait(LIMIT)
        return ESCAPES.sub("", said).replace("\r\n", "\n")

    def _start(self, command: str, terminal: int) -> subprocess.Popen[bytes]:
        words = ["/bin/sh", "-c", f"exec {command}"]
        streams = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
        return subprocess.Popen(words, cwd=self.folder, env=self.environment, **streams)

    def compare(self, command: str, expected: str, said: str) -> None:
        """Check that a command showed what the page says, and learn the ids that are new."""
        pattern, new = self._pattern(expected)
        found = re.fullmatch(pattern, said)
        assert found, f"$ {command}\n{said}\ninstead of\n{expected}"
        self.ids.update({shown: found[number] for number, shown in enumerate(new, 1)})

    def _pattern(self, expected: str) -> tuple[str, list[str]]:
        pattern, new = re.escape(expected).replace("\\-", "-").replace("\\ ", " "), []
        for shown in dict.fromkeys(ID.findall(expected)):
            if shown in self.ids:
                pattern = pattern.replace(shown, self.ids[shown])
            else:
                new.append(shown)
                first, rest = f"({ID.pattern})", f"\\{len(new)}"
                before, _, after = pattern.partition(shown)
                pattern = before + first + after.replace(shown, rest)
        for shown, real in VOLATILE.items():
            pattern = re.sub(shown, lambda _, real=real: real, pattern)  # type: ignore[misc]
        return pattern, new

    def leave(self) -> None:
        """Stop the workers with Ctrl-C, as the page says."""
        for worker in self.workers:
            worker.send_signal(signal.SIGINT)
        codes = [worker.wait(LIMIT) for worker in self.workers]
        self.store.close()
        assert codes == [0] * len(codes)


def _read(terminal: int) -> Iterator[str]:
    with os.fdopen(terminal, "rb", buffering=0) as stream:
        while True:
            try:
                data = stream.read(4096)
            except OSError as error:  # how Linux says that nobody holds the other end any more
                if error.errno != errno.EIO:
                    raise
                return
            if not data:
                return
            yield data.decode()


def transcript(block: Block) -> Iterator[tuple[str, str]]:
    """Yield the commands of a console block, each with what the page shows below it."""
    for part in re.split(r"^\$ ", block.code, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown


def chapter(title: str) -> str:
    """Return the text of a chapter of the page."""
    return PAGE.read_text(encoding="utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def console(*titles: str) -> list[tuple[str, str]]:
    """Return the commands of these chapters, without those that the tests need not run."""
    found = [block for title in titles for block in blocks(chapter(title)) if block.language == "console"]
    pairs = [pair for block in found for pair in transcript(block)]
    return [pair for pair in pairs if not pair[0].startswith(ELSEWHERE)]


@pytest.fixture
def newcomer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Newcomer]:
    """Somebody who has made the page's files in an empty folder; a test may name the fixture of another store."""
    for block in page_blocks(PAGE, "python"):
        if block.file:
            (tmp_path / block.file).write_text(block.code)
    [settings] = page_blocks(PAGE, "toml")
    (tmp_path / "pyproject.toml").write_text(settings.code)
    store = (
        request.getfixturevalue(request.param) if hasattr(request, "param") else f"sqlite:///{tmp_path}/lineshaft.db"
    )
    one = Newcomer(tmp_path, store)
    yield one
    one.leave()


def test_output_is_what_is_shown(newcomer: Newcomer) -> None:
    """From the first enqueue to the retried dead letter, each command prints what the page has below it."""
    commands = console("Enqueue", "Run")
    assert len(commands) >= 6
    for command, shown in commands:
        said = newcomer.type(command)
        if shown:
            newcomer.compare(command, shown, said)
    assert newcomer.store.jobs.count(state="completed") >= 3


@pytest.mark.parametrize("newcomer", ["postgres_url"], indirect=True)
def test_postgresql_chapter_works(newcomer: Newcomer) -> None:
    """The commands of the last chapter run the same jobs, there with two worker processes."""
    for command, _ in console("The same on PostgreSQL"):
        newcomer.type(command)
    eventually(lambda: newcomer.store.jobs.count(state="completed") == 2, limit=LIMIT)


def test_no_command_is_left_out() -> None:
    """What the tests do not run stands in the chapters of the installation, and is available where they run."""
    left_out = {block.code for block in page_blocks(PAGE, "console")} - {
        block.code
        for title in ("Install", "Enqueue", "Run", "The same on PostgreSQL")
        for block in blocks(chapter(title))
    }
    assert left_out == set()
    assert shutil.which("sh")
