"""examples/notebook.ipynb, run by a real kernel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.examples.conftest import EXAMPLES

ROOT = Path(__file__).parents[2]
NOTEBOOK = EXAMPLES / "notebook.ipynb"


def outputs(notebook: Any) -> list[Any]:
    """What the cells have printed, or shown, in their order."""
    found = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output.get("text", output.get("data")) for output in found]


def test_notebook_shows_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run from top to bottom, each cell gives the output that is stored with it: no error, nothing else.

    Among them: a task defined again by its cell, a worker for a cell and one that stays, a wait on the notebook's event
    loop, the refusal of a blocking one, and the process lane, refused in the notebook and run from a file.
    """
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    shown = nbformat.read(NOTEBOOK, as_version=4)
    run = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(run, timeout=50, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert outputs(run) == outputs(shown)
    assert len(outputs(run)) == 8
    assert (tmp_path / "crunching.py").is_file()
