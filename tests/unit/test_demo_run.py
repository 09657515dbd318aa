"""What the demo refuses before it starts anything."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from lineshaft.demo.run import run_demo
from lineshaft.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_store_in_memory_is_refused(tmp_path: Path) -> None:
    """The demo's worker is another process, which a store in memory does not reach: it says so."""
    with pytest.raises(ConfigError, match=r"memory://.*give a SQLite file or PostgreSQL"):
        run_demo("memory://", tmp_path / "demo", console=Console(file=io.StringIO()))
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize("files", [0, -1])
def test_no_files_are_refused(tmp_path: Path, files: int) -> None:
    """A demo of no files shows nothing: the message says what to give."""
    with pytest.raises(ConfigError, match="give a number from 1"):
        run_demo(None, tmp_path / "demo", files=files, console=Console(file=io.StringIO()))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """Where the folder cannot be written, the message names it and the option that names another."""
    (tmp_path / "demo").write_text("a file in the folder's place")
    with pytest.raises(ConfigError, match=r"cannot write to .*demo.*--dir"):
        run_demo(None, tmp_path / "demo", console=Console(file=io.StringIO()))
