"""The worker's own loops on simulated threads, time and faults: thousands of seeds, each always the same run.

In processes of their own: coverage follows threads, not greenlets.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]


def simulate(*arguments: str, **environment: str) -> tuple[int, str]:
    """Run seeds and return the exit code with what was printed."""
    plain = {name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_CONFIG"}
    run = subprocess.run(
        [sys.executable, "-m", "tests.simulation.run", *arguments],
        cwd=ROOT, env={**plain, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in run.stderr, run.stderr
    return run.returncode, run.stdout


def test_a_seed_is_always_the_same_run() -> None:
    """Two processes with different hash seeds give the same traces, to the last line."""
    first = simulate("--seeds", "0:10", "--digest", PYTHONHASHSEED="1")
    second = simulate("--seeds", "0:10", "--digest", PYTHONHASHSEED="2")
    assert first[1].splitlines()[:10] == second[1].splitlines()[:10]
    assert len(set(first[1].splitlines()[:10])) == 10


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seeds", ["0:1000", "1000:2000"])
def test_every_promise_holds_in_memory(seeds: str) -> None:
    """Whatever dies, sleeps or fails: each job ends once, in order, with its own attempts, and frees its place."""
    code, said = simulate("--seeds", seeds)
    assert code == 0, said


@pytest.mark.timeout(120)
def test_every_promise_holds_in_a_file() -> None:
    """As in memory, with locks that the kernel holds, and crashes that leave a log behind."""
    code, said = simulate("--seeds", "0:100", "--store", "file")
    assert code == 0, said


def test_a_failing_seed_is_shown_and_can_be_run_again() -> None:
    """What fails names the command that shows the whole run."""
    code, said = simulate("--seeds", "0:50", "--mutant", "claim-without-order")
    found, again = said.splitlines()
    command = again.partition("python -m tests.simulation.run ")[2].split()
    shown_code, shown = simulate(*command)
    assert code == shown_code == 1
    assert shown.splitlines()[-2] == found
    assert "claims" in shown


RARE: Final = {"finish-without-fence": "900:1700"}
"""The seeds that meet a broken rule which few meet: this one about one in a thousand."""


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "mutant",
    [
        "claim-what-is-held",
        "claim-without-lease",
        "claim-without-order",
        "finish-without-fence",
        "forget-lost-claims",
        "lead-beside-the-leader",
        "never-lead-again",
        "overhear-own-death",
        "promote-too-early",
        "put-back-without-fence",
        "rescue-without-lock",
        "rescue-without-patience",
        "tick-from-now-on",
    ],
)
def test_a_broken_rule_is_found(mutant: str) -> None:
    """A store or a worker without one of its rules does not get past the seeds."""
    code, said = simulate("--seeds", RARE.get(mutant, "0:800"), "--mutant", mutant)
    assert code == 1, said
