"""What a child has started ends with it, also when it leaves in order."""

from __future__ import annotations

import subprocess
import sys

import psutil

from tests.plugins.apps import eventually

LEAVING = """
import os, subprocess, sys
from lineshaft.worker.kinship import Guard
guard = Guard()
left = subprocess.Popen(["sh", "-c", "sleep 600 & sleep 600 & echo $! >&2; exit 0"], stderr=subprocess.PIPE, text=True)
print(left.stderr.readline().strip(), flush=True)
left.wait()
guard.dismiss()
print("left", flush=True)
"""


def test_what_was_left_behind_ends_before_its_guard() -> None:
    """Its worker may be dead by then: nobody else would end a program whose own parent is gone."""
    child = subprocess.run(
        [sys.executable, "-c", LEAVING],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=30,
        start_new_session=True,
    )
    orphan, said = child.stdout.split()
    assert said == "left"
    eventually(lambda: not psutil.pid_exists(int(orphan)) or psutil.Process(int(orphan)).status() == "zombie")
