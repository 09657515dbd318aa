"""The move from a thread pool: both programs make the same, and the second one goes on where it was stopped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from lineshaft import Lineshaft
from tests.examples.conftest import CopyExample
from tests.plugins.apps import eventually, unmeasured

ROOT: Final = Path(__file__).parents[2]
MADE: Final = {f"small/picture-{number}-200.txt" for number in range(20)}


@pytest.fixture
def folder(copy_example: CopyExample) -> Path:
    """The example, copied."""
    return copy_example("from_thread_pool")


def start(program: str, folder: Path) -> subprocess.Popen[str]:
    """Start one of the two programs."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", program],
        cwd=folder,
        env={**unmeasured(), "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("program", ["before.py", "after.py"])
def test_both_make_the_same(program: str, folder: Path) -> None:
    """Each program prints the thumbnails as they are made, and has made them all when it ends."""
    said, _ = start(program, folder).communicate(timeout=40)
    assert sorted(said.split()) == sorted(MADE)
    assert {str(path.relative_to(folder)) for path in (folder / "small").iterdir()} == MADE


def test_killed_program_goes_on(folder: Path) -> None:
    """Killed on the way and started again, it has one job a picture, and all are made."""
    with start("after.py", folder) as first:
        eventually((folder / "lineshaft.db").exists)
        first.kill()
    said, _ = start("after.py", folder).communicate(timeout=40)
    assert sorted(said.split()) == sorted(MADE)
    store = Lineshaft(f"sqlite:///{folder / 'lineshaft.db'}")
    assert store.jobs.count(state="completed") == store.jobs.count() == len(MADE)
    store.close()
