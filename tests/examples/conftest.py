"""Copies of the examples, each in a folder of its own, as a newcomer would start from one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

CopyExample = Callable[[str], Path]


@pytest.fixture
def copy_example(tmp_path: Path) -> CopyExample:
    """Copies the example of this name into the test's folder and returns that."""

    def copy(name: str) -> Path:
        ignored = shutil.ignore_patterns("__pycache__", "*.db*")
        return shutil.copytree(EXAMPLES / name, tmp_path / name, ignore=ignored)

    return copy
