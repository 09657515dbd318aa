"""Several worker processes under one: deaths, restarts, and their common end."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lineshaft import Lineshaft
from lineshaft.clock import SystemClock
from lineshaft.worker.health import Health
from lineshaft.worker.supervisor import Child, Supervisor
from tests.plugins.apps import eventually
from tests.worker.conftest import StartCommand, WorkerCommand, await_start, is_alive
from tests.worker.test_worker_command import ask, health_port

MakeApp = Callable[..., Lineshaft]

QUICK = {"LINESHAFT_STOP_PATIENCE": "0.3s", "LINESHAFT_HEARTBEAT": "0.1s", "LINESHAFT_SILENCE": "0.5s"}


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """The gate that jobs wait at; creating the file opens it."""
    return tmp_path / "gate"


def pids(app: Lineshaft) -> set[int]:
    """Return the process ids of the workers that the store knows."""
    return {one.pid for one in app.workers.list()}


def holders(app: Lineshaft, count: int) -> set[int]:
    """Wait until so many jobs run, and return the processes that hold some."""
    eventually(lambda: sum(one.running for one in app.workers.list()) == count)
    return {one.pid for one in app.workers.list() if one.running}


def test_two_processes_share_the_jobs(
    start_command: StartCommand, durable_url: str, make_app: MakeApp, gate: Path
) -> None:
    """With --processes 2 two workers run jobs side by side, and SIGTERM drains both with exit code 0."""
    app = make_app(durable_url)
    command = start_command(durable_url, "--processes", "2", "--queues", "default:1")
    command.ready(2)
    jobs = [app.enqueue("hold", str(gate)) for _ in range(2)]
    await_start(gate, *jobs)
    running_in = holders(app, 2)
    assert len(running_in) == 2
    assert command.popen.pid not in running_in
    command.send(signal.SIGTERM)
    command.line("stopping: running jobs have 25 s to finish")
    gate.touch()
    assert command.end() == 0
    assert {job.result(5) for job in jobs} == running_in
    assert not any(is_alive(pid) for pid in running_in)


def test_a_killed_process_is_started_again(
    start_command: StartCommand, durable_url: str, make_app: MakeApp, gate: Path
) -> None:
    """After kill -9 of a worker process another one is started, and its job runs again within 5 s."""
    app = make_app(durable_url, heartbeat="1s", silence="3s")
    command = start_command(durable_url, "--processes", "2", "--queues", "default:1")
    command.ready(2)
    before = pids(app)
    job = app.enqueue("hold", str(gate))
    [victim] = holders(app, 1)
    os.kill(victim, signal.SIGKILL)
    killed_at = time.monotonic()
    command.line(f"worker process {victim} ended by signal SIGKILL (9); it is started again now")
    command.ready()
    eventually(lambda: not holders(app, 1) & {victim}, limit=10)
    assert time.monotonic() - killed_at < 5
    gate.touch()
    assert job.result(20) != victim
    assert len(pids(app) - before) == 1
    assert command.stop() == 0


def test_children_die_with_their_supervisor(
    start_command: StartCommand, sqlite_url: str, make_app: MakeApp, gate: Path
) -> None:
    """After kill -9 of the supervisor its worker processes are gone within a second, whatever they run."""
    app = make_app(sqlite_url)
    command = start_command(sqlite_url, "--processes", "2", "--queues", "default:1")
    command.ready(2)
    for _ in range(2):
        app.enqueue("hold", str(gate))
    children = holders(app, 2)
    command.popen.kill()
    eventually(lambda: not any(is_alive(pid) for pid in children), limit=1.0)


def test_a_process_with_hung_jobs_is_started_anew(
    start_command: StartCommand, sqlite_url: str, make_app: MakeApp, gate: Path
) -> None:
    """A worker process in which too many jobs hang ends and is started anew at once, without counting as a failure."""
    app = make_app(sqlite_url)
    command = start_command(sqlite_url, "--processes", "2", LINESHAFT_MAX_HUNG="1", **QUICK)
    command.ready(2)
    before = pids(app)
    hung = app.enqueue("hang", str(gate))
    line = command.line("ended to be started anew")
    command.ready()
    assert any(f"worker process {pid} ended" in line for pid in before)
    assert len(pids(app) & before) == 1
    assert (hung.refresh().state, hung.reason) == ("dead", "timeout")
    assert command.stop() == 0


def test_a_second_signal_stops_all_at_once(
    start_command: StartCommand, sqlite_url: str, make_app: MakeApp, gate: Path
) -> None:
    """A second signal to the supervisor ends the grace of every process, and the jobs are put back."""
    app = make_app(sqlite_url)
    command = start_command(sqlite_url, "--processes", "2", "--queues", "default:1", "--grace", "1h", **QUICK)
    command.ready(2)
    jobs = [app.enqueue("hold", str(gate)) for _ in range(2)]
    await_start(gate, *jobs)
    command.send(signal.SIGINT)
    command.line("stopping: running jobs have 3600 s to finish")
    command.send(signal.SIGTERM)
    assert command.end() == 0
    assert [(job.refresh().state, job.attempt) for job in jobs] == [("queued", 0)] * 2


def test_a_service_manager_may_signal_everybody(
    start_command: StartCommand, sqlite_url: str, make_app: MakeApp, gate: Path
) -> None:
    """SIGTERM to every process at once, as systemd sends it, is one request: running jobs still have their grace."""
    app = make_app(sqlite_url)
    command = start_command(sqlite_url, "--processes", "2", "--queues", "default:1", **QUICK)
    command.ready(2)
    jobs = [app.enqueue("hold", str(gate)) for _ in range(2)]
    await_start(gate, *jobs)
    for pid in (command.popen.pid, *holders(app, 2)):
        os.kill(pid, signal.SIGTERM)
    eventually(lambda: {one.state for one in app.workers.list()} == {"draining"})
    command.line("stopping")
    gate.touch()
    assert command.end() == 0
    assert [job.refresh().state for job in jobs] == ["completed"] * 2


def test_ready_when_all_are(start_command: StartCommand, sqlite_url: str, make_app: MakeApp, gate: Path) -> None:
    """A supervisor's /readyz tells the state of each process: 200 when all are ready, 503 when one is not."""
    app = make_app(sqlite_url)
    command = start_command(sqlite_url, "--processes", "2", "--health-port", "0", GATE_AT_IMPORT=str(gate))
    port = health_port(command.line("health checks on"))
    assert ask(port, "/readyz")[0] == 503
    assert ask(port, "/livez")[0] == 200
    gate.touch()
    eventually(lambda: ask(port, "/readyz")[0] == 200)
    assert ask(port, "/readyz")[1]["processes"] == {"1": "ready", "2": "ready"}
    gate.unlink()
    os.kill(min(pids(app)), signal.SIGKILL)
    eventually(lambda: ask(port, "/readyz")[0] == 503)
    assert sorted(ask(port, "/readyz")[1]["processes"].values()) == ["ready", "starting"]
    gate.touch()
    eventually(lambda: ask(port, "/readyz")[0] == 200)


def test_a_job_may_close_every_descriptor(start_command: StartCommand, sqlite_url: str) -> None:
    """A worker process whose link a job has closed is still stopped in good order."""
    script = Path(sqlite_url.removeprefix("sqlite:///")).with_name("child.py")
    script.write_text(
        "import os, signal, sys, threading\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('drained', file=sys.stderr), sys.exit(0)))\n"
        "os.closerange(3, 64)\nprint('closed', file=sys.stderr, flush=True)\nthreading.Event().wait()\n"
    )
    command = supervise(script)
    try:
        command.line("closed")
        assert command.stop() == 0
        assert "drained" in command.lines
    finally:
        command.close()


def test_what_does_not_stop_is_killed(tmp_path: Path) -> None:
    """A process that ignores every request is killed ten seconds after its grace, and the exit code is 1."""
    script = tmp_path / "stubborn.py"
    script.write_text(
        "import os, signal, sys, threading\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('up', os.getpid(), file=sys.stderr, flush=True)\nthreading.Event().wait()\n"
    )
    command = supervise(script, speed=40)
    try:
        pid = int(command.line("up").split()[1])
        assert command.stop() == 1
        assert any(f"worker process {pid} did not stop in time and is killed" in line for line in command.lines)
        assert not is_alive(pid)
    finally:
        command.close()


def test_a_process_that_cannot_start_ends_the_supervisor(tmp_path: Path) -> None:
    """When the first process ends with 1 or 2 before any was ready, the supervisor ends with that code."""
    script = tmp_path / "broken.py"
    script.write_text("import sys; print('why', file=sys.stderr); sys.exit(2)")
    command = supervise(script)
    assert command.end() == 2
    assert command.lines == ["why"]
    command.close()


def test_restarts_slow_down() -> None:
    """A process that keeps dying is started again at once, then after 1, 2, 4 … at most 30 s; a stable one at once."""
    child = Child(1)
    waits = [child.back_off(now=1.0) for _ in range(8)]
    assert waits == [0, 1, 2, 4, 8, 16, 30, 30]
    assert child.back_off(now=31.0) == 0


def test_health_before_any_report() -> None:
    """A supervisor whose processes have not reported yet is live and starting."""
    supervisor = Supervisor(["true"], 2, SystemClock(), on_change=lambda _: None)
    assert supervisor.health() == Health(live=True, state="starting", processes={"1": "starting", "2": "starting"})


def test_a_stuck_supervisor_is_not_live() -> None:
    """A supervisor that is watched and whose loop does not turn is not live."""
    clock = SteppingClock()
    supervisor = Supervisor(["true"], 1, clock, on_change=lambda _: None, beat_seconds=1.0)
    clock.seconds += 4
    assert supervisor.health().live
    clock.seconds += 2
    assert not supervisor.health().live


class SteppingClock(SystemClock):
    """A monotonic clock that is moved by hand."""

    seconds = 100.0

    def monotonic(self) -> float:
        """Return what the clock was set to."""
        return self.seconds


def supervise(script: Path, *, speed: int = 1) -> WorkerCommand:
    """Start a supervisor of one process that runs a script; its clock runs `speed` times as fast."""
    program = (
        "import logging, sys\n"
        "from lineshaft.clock import SystemClock\n"
        "from lineshaft.worker.supervisor import Supervisor\n"
        "class Fast(SystemClock):\n"
        f"    def monotonic(self): return super().monotonic() * {speed}\n"
        "logging.basicConfig(level='ERROR')\n"
        f"command = [sys.executable, {str(script)!r}]\n"
        "sys.exit(Supervisor(command, 1, Fast(), on_change=lambda _: None, beat_seconds=0.05).run())\n"
    )
    return WorkerCommand([sys.executable, "-c", program], {}, script.parent)
