"""How the demo and the bench hold their worker process."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lineshaft.errors import LineshaftError
from lineshaft.worker_process import WorkerProcess, sigterm_as_exit
from tests.plugins.apps import unmeasured

LOG = Path("worker.log")
WAITS = "import signal, sys; print('ready', flush=True); signal.pause()"


def start(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=unmeasured())


def test_a_worker_that_ends_early_is_noticed(tmp_path: Path) -> None:
    """Nobody waits for a worker that is gone: the error tells its exit code and its last words."""
    log = tmp_path / "worker.log"
    log.write_text("starting\nlineshaft: no such app\n")
    with (
        start("raise SystemExit(3)") as process,
        pytest.raises(LineshaftError, match=r"exit code 3 .* said: lineshaft: no such app$"),
    ):
        WorkerProcess(process, log).watch(30)


def test_a_running_worker_is_only_watched() -> None:
    """Watching a healthy worker returns when the time is up and leaves it running."""
    with start(WAITS) as process:
        WorkerProcess(process, LOG).watch(0.01)
        assert process.poll() is None
        process.kill()


def test_a_worker_is_asked_to_stop() -> None:
    """Stopping sends SIGTERM, as a service manager does, and returns when the process is gone."""
    with start(WAITS) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        WorkerProcess(process, LOG).stop()
        assert process.returncode == -signal.SIGTERM


def test_a_worker_that_will_not_stop_is_killed() -> None:
    """A worker that ignores SIGTERM does not outlive who started it."""
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); signal.pause()"
    with start(deaf) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        WorkerProcess(process, LOG).stop(patience_seconds=0.01)
        assert process.returncode == -signal.SIGKILL


def test_a_stopped_worker_may_be_stopped_again() -> None:
    """Stopping a worker that ended by itself is no error."""
    with start("pass") as process:
        process.wait(30)
        WorkerProcess(process, LOG).stop()
        assert process.returncode == 0


def test_sigterm_runs_the_clean_up() -> None:
    """A program told to stop leaves by an exception, so that its worker is stopped, and gives the handler back."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught, sigterm_as_exit():
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
