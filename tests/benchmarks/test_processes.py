from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.harness.processes import Group, last_line

ROOT = Path(__file__).parents[2]
WAITS = "import signal; print('here', flush=True); signal.pause()"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); signal.pause()"
LEAVES_A_CHILD = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {WAITS!r}], start_new_session=True, stdout=subprocess.PIPE, text=True)
child.stdout.readline()
print(child.pid, flush=True)
"""
RUN = f"""
import subprocess, sys
from benchmarks.harness.processes import nothing_left_behind
with nothing_left_behind():
    lone = subprocess.Popen([sys.executable, "-c", {LEAVES_A_CHILD!r}], stdout=subprocess.PIPE, text=True)
    print(lone.stdout.readline().strip(), flush=True)
    lone.wait()
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_no_process_behind(number: signal.Signals) -> None:
    """Told to stop, a run kills even the orphan of a child that has ended, and says by its code what stopped it."""
    command = [sys.executable, "-c", RUN]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        orphan = psutil.Process(int(run.stdout.readline()))
        assert run.stdout.readline() == "ready\n"
        run.send_signal(number)
        assert run.wait(30) == 128 + number
    assert not orphan.is_running()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def started(program: str, log: Path) -> Group:
    group = Group([[sys.executable, "-c", program]] * 2, environment={}, folder=log.parent, log=log)
    while log.read_text().count("here") < 2:
        assert group.is_running
    return group


def test_stopped_workers_are_gone(log: Path) -> None:
    """Workers that end when asked to are not killed, and none runs afterwards."""
    group = started(WAITS, log)
    members = group.members()
    group.stop()
    assert not group.is_running
    assert not any(member.is_running() for member in members)


def test_deaf_workers_are_killed(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that do not end when asked to are killed after a while."""
    monkeypatch.setattr("benchmarks.harness.processes.STOP_SECONDS", 0.2)
    group = started(DEAF, log)
    group.stop()
    assert not group.is_running


def test_workers_are_measured_together(log: Path) -> None:
    """Memory and processor time are summed over all processes."""
    group = started(f"import time\nwhile time.process_time() < 0.1: pass\n{WAITS}", log)
    assert len(group.members()) == 2
    assert group.resident_mib() > 2
    assert group.cpu_seconds() > 0.1  # counted in hundredths
    group.kill()
    assert group.members() == []


def test_the_last_line_is_the_last_that_says_something() -> None:
    """An error is reported by the last line that is not empty."""
    assert last_line("Traceback\n  ValueError: no\n\n") == "ValueError: no"
    assert last_line("") == "it printed nothing"
