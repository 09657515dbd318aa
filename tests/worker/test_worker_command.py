"""`lineshaft worker` in one process: what it says, what it answers, and how it refuses."""

from __future__ import annotations

import json
import re
import signal
import socket
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from lineshaft import Lineshaft, LineshaftError
from lineshaft.cli.worker import refuse_platform
from lineshaft.version import VERSION
from tests.plugins.apps import eventually
from tests.worker.conftest import StartCommand, await_start

MakeApp = Callable[..., Lineshaft]


def ask(port: int, path: str, method: str = "GET") -> tuple[int, Any]:
    """Return the status and the JSON of an answer."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own server
            body = answer.read()
            return answer.status, json.loads(body) if body else None
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def health_port(line: str) -> int:
    """Return the port that a worker said it answers on."""
    found = re.search(r":(\d+)/livez", line)
    assert found
    return int(found[1])


def test_it_runs_jobs_until_sigterm(start_command: StartCommand, durable_url: str, make_app: MakeApp) -> None:
    """A started worker runs what is enqueued, and after SIGTERM ends with exit code 0."""
    command = start_command(durable_url)
    command.ready()
    assert make_app(durable_url).enqueue("whoami").result(20) == command.popen.pid
    assert command.stop() == 0
    assert "has stopped" in command.lines[-1]
    assert make_app(durable_url).workers.list() == []


def test_children_know_the_tasks_of_the_module_that_names_the_app(
    start_command: StartCommand, sqlite_url: str, make_app: MakeApp, tmp_path: Path
) -> None:
    """An app that `--app` finds in another module than the one that made it runs that module's tasks in children."""
    (tmp_path / "shop.py").write_text("from lineshaft import Lineshaft\n\napp = Lineshaft()\n")
    tasks = "from shop import app\n\n@app.task(name='alone', runs_in='process')\ndef alone():\n    return 7\n"
    (tmp_path / "shop_tasks.py").write_text(tasks)
    command = start_command(sqlite_url, app="shop_tasks:app")
    command.ready()
    assert make_app(sqlite_url).enqueue("alone").result(20) == 7


def test_it_introduces_itself(start_command: StartCommand, sqlite_url: str, tmp_path: Path) -> None:
    """The first lines tell version, app, the store's absolute path, queues, tasks, and how to stop it."""
    command = start_command(sqlite_url, "--queues", "pdf:4,default:2")
    command.line("created the store", str(tmp_path / "jobs.db"))
    command.line(f"lineshaft {VERSION}", "app tests.worker.command_tasks:app", str(tmp_path / "jobs.db"))
    assert "hold" in command.line("queues pdf:4,default:2; 7 tasks:")
    command.line("WARNING", "no task names queue pdf")
    command.line("ready; stop it with Ctrl-C or kill", str(command.popen.pid))


def test_it_says_once_that_it_created_the_store(start_command: StartCommand, sqlite_url: str) -> None:
    """A worker on a store that exists does not claim to have created it."""
    first = start_command(sqlite_url)
    first.ready()
    second = start_command(sqlite_url)
    second.ready()
    assert any("created the store" in line for line in first.lines)
    assert not any("created the store" in line for line in second.lines)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_an_unreachable_store_is_one_line(start_command: StartCommand, processes: str) -> None:
    """A worker whose store cannot be reached at its start says so in one line and exits with 1."""
    url = "postgresql://nobody@127.0.0.1:1/nothing"
    command = start_command(url, "--processes", processes, "--log-level", "warning")
    assert command.end() == 1
    assert len(command.lines) == 1
    assert command.lines[0].startswith("lineshaft: ")
    assert "cannot be reached" in command.lines[0]


def test_processes_do_not_share_memory(start_command: StartCommand) -> None:
    """A store in memory with two processes is refused with the reason, as wrong use."""
    command = start_command("memory://", "--processes", "2", "--log-level", "warning")
    assert command.end() == 2
    assert len(command.lines) == 1
    assert command.lines[0].startswith("lineshaft: a store in memory lives in one process")


@pytest.mark.parametrize(
    "options, says",
    [
        (("--grace", "soon"), "--grace='soon' is not a duration"),
        (("--queues", "pdf:many"), "write name:4"),
        (("--processes", "0"), "0 is not in the range"),
    ],
    ids=["grace", "queues", "processes"],
)
def test_wrong_use_is_one_line(
    start_command: StartCommand, sqlite_url: str, options: tuple[str, ...], says: str
) -> None:
    """A wrong option is told in one line that names it, with exit code 2."""
    command = start_command(sqlite_url, *options)
    assert command.end() == 2
    assert len(command.lines) == 1
    assert says in command.lines[0]


def test_windows_is_refused() -> None:
    """On Windows a worker is refused with what to do instead; elsewhere it is not."""
    refuse_platform("linux")
    with pytest.raises(LineshaftError, match="run them in WSL or in a container"):
        refuse_platform("win32")


def test_json_lines_name_the_job(start_command: StartCommand, sqlite_url: str, make_app: MakeApp) -> None:
    """With --log-format json each line is one object, and one that a job wrote names the job and its attempt."""
    command = start_command(sqlite_url, "--log-format", "json")
    command.line("ready")
    job = make_app(sqlite_url).enqueue("talk")
    job.result(20)
    assert command.stop() == 0
    records = [json.loads(line) for line in command.lines]
    assert all({"timestamp", "level", "logger", "event"} <= record.keys() for record in records)
    [said] = [record for record in records if record["logger"] == "lineshaft.job"]
    assert said["event"] == "one line\nand another"
    assert (said["level"], said["job_id"], said["job_name"], said["job_attempt"]) == ("info", job.id, "talk", 1)
    assert "job_id" not in records[0]


@pytest.mark.parametrize("task", ["talk", "talk_in_child"])
def test_json_lines_carry_the_context(
    start_command: StartCommand, sqlite_url: str, make_app: MakeApp, task: str
) -> None:
    """A line that a job wrote names the trace that enqueued it and the carried ContextVars, in a child process too."""
    command = start_command(sqlite_url, "--log-format", "json")
    command.line("ready")
    request: ContextVar[str] = ContextVar("request_id")
    span = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1))
    request.set("r-17")
    with use_span(NonRecordingSpan(span)):
        job = make_app(sqlite_url, context={"request_id": request}).enqueue(task)
    job.result(20)
    assert command.stop() == 0
    [said] = [one for one in map(json.loads, command.lines) if one["logger"] == "lineshaft.job"]
    [kept] = job.logs()
    assert (said["job_id"], kept["message"]) == (job.id, "one line\nand another")
    for line in (said, kept):
        assert line["context"] == {"request_id": "r-17"}
        assert (line["trace_id"], line["parent_span_id"]) == (f"{0xABC:032x}", f"{0xDEF:016x}")


def test_plain_lines_name_the_job(start_command: StartCommand, sqlite_url: str, make_app: MakeApp) -> None:
    """A plain line that a job wrote ends in its task, id and attempt."""
    command = start_command(sqlite_url)
    command.ready()
    job = make_app(sqlite_url).enqueue("talk")
    command.line(f"and another [talk {job.id} attempt 1]")


def test_log_level_holds_for_jobs(start_command: StartCommand, sqlite_url: str, make_app: MakeApp) -> None:
    """With --log-level warning neither the worker's nor a job's info lines are shown, and the job keeps its own."""
    command = start_command(sqlite_url, "--log-level", "warning")
    job = make_app(sqlite_url).enqueue("talk")
    job.result(20)
    assert command.stop() == 0
    assert command.lines == []
    assert [line["message"] for line in job.logs()] == ["one line\nand another"]


def test_probes_tell_ready_then_draining(
    start_command: StartCommand, sqlite_url: str, make_app: MakeApp, tmp_path: Path
) -> None:
    """A running worker is live and ready; one that drains is live and not ready; other paths are 404."""
    command = start_command(sqlite_url, "--health-port", "0")
    port = health_port(command.line("health checks on"))
    command.ready()
    assert ask(port, "/livez") == (200, {"live": True, "ready": True, "state": "ready"})
    assert ask(port, "/healthz")[0] == ask(port, "/readyz?verbose")[0] == 200
    assert ask(port, "/readyz", "HEAD") == (200, None)
    assert ask(port, "/")[0] == 404
    await_start(tmp_path / "gate", make_app(sqlite_url).enqueue("hold", str(tmp_path / "gate")))
    command.send(signal.SIGTERM)
    command.line("stopping")
    assert eventually(lambda: ask(port, "/readyz")[0] == 503)
    assert ask(port, "/livez") == (200, {"live": True, "ready": False, "state": "draining"})
    (tmp_path / "gate").touch()
    assert command.end() == 0


def test_probes_answer_while_the_app_is_imported(start_command: StartCommand, sqlite_url: str, tmp_path: Path) -> None:
    """A worker whose app takes long to import is live, not yet ready."""
    command = start_command(sqlite_url, "--health-port", "0", GATE_AT_IMPORT=str(tmp_path / "gate"))
    port = health_port(command.line("health checks on"))
    assert ask(port, "/livez")[0] == 200
    assert ask(port, "/readyz") == (503, {"live": True, "ready": False, "state": "starting"})
    (tmp_path / "gate").touch()
    command.ready()
    assert ask(port, "/readyz")[0] == 200


def test_a_store_that_is_away_makes_it_unready_not_dead(
    start_command: StartCommand, own_postgres_server: Any, make_app: MakeApp
) -> None:
    """While the store is away the worker is live and not ready, and ready again when the store is back."""
    server = own_postgres_server()
    command = start_command(server.url, "--health-port", "0", LINESHAFT_HEARTBEAT="0.1s", LINESHAFT_SILENCE="0.5s")
    port = health_port(command.line("health checks on"))
    command.ready()
    server.stop()
    eventually(lambda: ask(port, "/readyz")[0] == 503)
    assert ask(port, "/livez")[1] == {"live": True, "ready": False, "state": "away"}
    server.start()
    eventually(lambda: ask(port, "/readyz")[0] == 200)
    assert make_app(server.url).enqueue("whoami").result(20) == command.popen.pid


def test_a_taken_health_port_is_one_line(start_command: StartCommand, sqlite_url: str) -> None:
    """A port that another program has is told in one line, with exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        command = start_command(sqlite_url, "--health-port", str(port))
        assert command.end() == 1
    assert len(command.lines) == 1
    assert f"port {port}: Address already in use; choose another --health-port" in command.lines[0]


@pytest.mark.parametrize("processes", ["1", "2"])
def test_it_tells_systemd(start_command: StartCommand, sqlite_url: str, tmp_path: Path, processes: str) -> None:
    """The service manager hears READY=1 after the start, WATCHDOG=1 as often as asked, STOPPING=1 before the end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "100000"}
        command = start_command(sqlite_url, "--processes", processes, **environment)

        def heard(wanted: str) -> str:
            while wanted not in (message := manager.recv(4096).decode()).splitlines():
                pass
            return message

        assert "STATUS=" in heard("READY=1")
        command.ready(int(processes))
        heard("WATCHDOG=1")
        heard("WATCHDOG=1")
        command.send(signal.SIGTERM)
        heard("STOPPING=1")
        assert command.end() == 0


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_manager_that_does_not_read_holds_nothing_up(
    start_command: StartCommand, sqlite_url: str, tmp_path: Path, processes: str
) -> None:
    """A notify socket whose queue is full keeps a worker neither from working nor from ending."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "100000"}
        command = start_command(sqlite_url, "--processes", processes, **environment)
        command.ready(int(processes))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler, suppress(BlockingIOError):
            filler.setblocking(False)
            while True:
                filler.sendto(b"STATUS=full", str(tmp_path / "notify"))
        command.send(signal.SIGTERM)
        assert command.end() == 0


def test_it_speaks_to_an_abstract_socket(start_command: StartCommand, sqlite_url: str, tmp_path: Path) -> None:
    """A notify socket in the abstract namespace, which systemd writes with `@`, is reached too."""
    name = f"lineshaft-test-{tmp_path.name}-{id(tmp_path)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        manager.settimeout(20)
        start_command(sqlite_url, NOTIFY_SOCKET=f"@{name}")
        assert b"READY=1" in manager.recv(4096)


def test_a_leftover_thread_does_not_keep_it(start_command: StartCommand, sqlite_url: str, make_app: MakeApp) -> None:
    """A thread that a job started and left does not keep a stopped worker from ending."""
    command = start_command(sqlite_url)
    make_app(sqlite_url).enqueue("leave_thread").result(20)
    assert command.stop() == 0
    assert "leaving although these threads go on: left-behind" in command.lines[-1]


def test_a_drained_store_is_whole(start_command: StartCommand, sqlite_url: str, make_app: MakeApp) -> None:
    """After a worker's end the SQLite file holds everything that it did."""
    command = start_command(sqlite_url)
    command.ready()
    make_app(sqlite_url).enqueue("whoami").result(20)
    assert command.stop() == 0
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    connection.close()
