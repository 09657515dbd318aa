"""What the README and the documentation show works.

A page's Python blocks run in order, each page in a process and a temporary folder of its own:

    ```python                     code of the page; later blocks see the names of earlier ones
    ```python title="work.py"     a file: saved under that name, so that other blocks can import it, then run
    ```python no-run: why         shown only, but it must parse
    ```console                    `$ lineshaft ...` lines: the command and its options must exist
    ```toml, json, yaml           must parse

What other languages say is checked by the tests that READERS names.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "examples" / "README.md"]
FENCE = re.compile(r"^(?P<indent> *)```(?P<info>\w[^\n`]*)\n(?P<body>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r'title="([^"]+\.py)"')
SECONDS_A_PAGE = 50
READERS: dict[str, Callable[[str], object]] = {
    "python": ast.parse,
    "console": str,  # test_commands_exist, and of the quickstart test_quickstart.py
    "toml": tomllib.loads,
    "json": json.loads,
    "yaml": yaml.safe_load,
    "ini": str,  # test_deployment.py
    "dockerfile": str,  # test_deployment.py
    "sql": str,  # test_deployment.py
    "mermaid": str,  # test_states.py
    "sh": str,  # tests/cli/test_completion.py
    "text": str,  # what a program printed
}
PROMPTS = re.compile(r"^ *\$ .*", re.MULTILINE)
SHELL_OPERATORS = re.compile(r"[|&;<>]+")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, with the number of its first line of code."""

    language: str
    marks: str
    line: int
    code: str

    @property
    def file(self) -> str | None:
        """The name of the file that the block shows, if it shows one."""
        title = TITLE.search(self.marks)
        return title[1] if title else None

    @property
    def reason(self) -> str | None:
        """Why the block is not run, None for one that is."""
        mark, colon, reason = self.marks.partition(":")
        assert not colon or (mark == "no-run" and reason.strip()), f"line {self.line}: {self.marks!r}"
        return reason.strip() if colon else None

    @property
    def in_place(self) -> str:
        """The code on the line where the page has it, so that a traceback names the page's line."""
        return "\n" * (self.line - 1) + self.code


def blocks(text: str) -> Iterator[Block]:
    """Yield the fenced blocks of a Markdown page, without the indentation that a list gave them."""
    for match in FENCE.finditer(text):
        language, _, marks = match["info"].strip().partition(" ")
        yield Block(language, marks, text.count("\n", 0, match.start("body")) + 1, textwrap.dedent(match["body"]))


def scripts(page: list[Block]) -> dict[str, str]:
    """Return the files to save and run, in the order of the page: those that it titles, and one with all the rest."""
    files: dict[str, str] = {}
    for block in page:
        if block.reason is None:
            name = block.file or "page.py"
            files[name] = merge(files.get(name, ""), block.in_place)
    return files


def merge(earlier: str, later: str) -> str:
    """Lay a block over the blank lines that stand for it; `from __future__` may stand only in the first block."""
    return earlier + later[len(earlier.splitlines()) :] if earlier else later


def commands(page: list[Block]) -> Iterator[list[str]]:
    """Yield the arguments of each `$ lineshaft ...` line, without what a shell does around it."""
    for block in page:
        for line in block.code.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                yield from lineshaft_calls(line[2:])


def lineshaft_calls(line: str) -> Iterator[list[str]]:
    """Yield the arguments of each call of lineshaft in a shell line."""
    words: list[str] = []
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = "#"
    for word in [*lexer, ";"]:
        if not SHELL_OPERATORS.fullmatch(word):
            words.append(word)
            continue
        while words and re.match(r"\w+=", words[0]):
            del words[0]
        if words[:1] == ["lineshaft"]:
            yield words[1:]
        words = []


def page_blocks(page: Path, language: str) -> list[Block]:
    """Return the page's blocks in one language."""
    return [block for block in blocks(page.read_text(encoding="utf-8")) if block.language == language]


def shown_commands() -> list[str]:
    """Return every different lineshaft command that some page shows."""
    return sorted({shlex.join(words) for page in PAGES for words in commands(page_blocks(page, "console"))})


every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@every_page
def test_python_runs(page: Path, tmp_path: Path) -> None:
    """A reader who copies a page's Python sees it work, with no warning."""
    files = scripts(page_blocks(page, "python"))
    for name, code in files.items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    for name in files:
        run = subprocess.run(
            [sys.executable, "-W", "error", name],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=SECONDS_A_PAGE,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert run.returncode == 0, f"{page.name}, {name}:\n{run.stdout}{run.stderr}"


@every_page
def test_every_block_is_read(page: Path) -> None:
    """Each block that names a language has a reader, and is what that language allows, also where it is not run."""
    text = page.read_text(encoding="utf-8")
    assert not PROMPTS.findall(FENCE.sub("", text)), "a shell line stands in a block that names no language"
    for block in blocks(text):
        READERS[block.language](block.in_place)
        assert block.reason is None or block.language == "python"


@pytest.mark.parametrize("command", shown_commands())
def test_commands_exist(command: str, tmp_path: Path) -> None:
    """Each command that a page shows exists, with the options that it is shown with."""
    run = subprocess.run(
        [sys.executable, "-m", "lineshaft", *shlex.split(command), "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


PAGE = textwrap.dedent(
    """\
    # A page

    ```python title="work.py"
    X = 1
    ```

    - in a list:

      ```python
      from work import X
      ```

    ```python no-run: nobody answers
    input()
    ```

    ```python
    assert X == 1
    ```

    ```console
    $ LINESHAFT_APP=work:app lineshaft jobs list \\
        --state dead | head -3   # the dead ones
    id  task
    $ pip install lineshaft && lineshaft worker &
    ```
    """
)


def test_page_is_cut_into_files() -> None:
    """Titled blocks are files, the rest is one script whose lines keep the page's numbers."""
    files = scripts([block for block in blocks(PAGE) if block.language == "python"])
    assert list(files) == ["work.py", "page.py"]
    assert files["work.py"].splitlines()[3] == "X = 1"
    assert files["page.py"].splitlines()[9] == "from work import X"
    assert files["page.py"].splitlines()[17] == "assert X == 1"
    assert "input" not in files["page.py"]


def test_commands_are_cut_from_their_shell() -> None:
    """Variables, pipes, comments and continued lines around a command are the shell's, not lineshaft's."""
    assert list(commands(list(blocks(PAGE)))) == [["jobs", "list", "--state", "dead"], ["worker"]]
