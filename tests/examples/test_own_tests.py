"""The examples' own tests pass, each as a project of its own, with the pytest plugin."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples.conftest import EXAMPLES, CopyExample
from tests.plugins.apps import unmeasured

PROJECTS = sorted(path.parent.name for path in EXAMPLES.glob("*/pyproject.toml"))
ROOT = Path(__file__).parents[2]
# The installed plugin, where there is one, is the same under another name.
PLUGIN = ("-p", "no:lineshaft", "-p", "lineshaft.testing.plugin", "-p", "no:randomly", "-p", "no:cacheprovider")


@pytest.mark.parametrize("name", PROJECTS)
def test_own_tests_pass(name: str, copy_example: CopyExample) -> None:
    """A newcomer who copies the example and runs pytest sees it pass, with no warning."""
    folder = copy_example(name)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", *PLUGIN],
        cwd=folder,
        env={**unmeasured(), "PYTHONPATH": f"{ROOT / 'src'}:{folder}"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "passed" in run.stdout
