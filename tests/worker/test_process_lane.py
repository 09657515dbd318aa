"""The process lane, with real child processes."""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import msgspec
import psutil
import pytest

from lineshaft.errors import ConfigError
from lineshaft.options import Options, apply_execution
from lineshaft.outcomes import (
    Done,
    Failed,
    Interrupted,
    JobError,
    Lost,
    Outcome,
    Rejected,
    Settled,
    Snoozed,
    Stopped,
    TimedOut,
    Unknown,
    Unready,
)
from lineshaft.store.claim import Claimed
from lineshaft.task import Task
from lineshaft.transitions import Held
from lineshaft.worker.child_run import JobRunner, Reporter
from lineshaft.worker.lanes import pool, wire
from lineshaft.worker.lanes.async_ import LoopThread
from lineshaft.worker.lanes.places import Places
from lineshaft.worker.lanes.process import ProcessLane
from lineshaft.worker.loading import load_app
from lineshaft.worker.run import Run
from tests.plugins.apps import eventually
from tests.worker import process_app
from tests.worker.process_app import app

LIMIT_SECONDS = 30
PATH = "tests.worker.process_app:app"
PARENT = Path(__file__).with_name("process_parent.py")


class WatchedRun(Run):
    """A run that lets a test wait until its progress has arrived."""

    def __init__(self, *args: Any) -> None:
        self.heard = threading.Event()
        super().__init__(*args)

    @property
    def progress_text(self) -> str | None:  # type: ignore[override]
        """The last word."""
        return self.__dict__.get("text")

    @progress_text.setter
    def progress_text(self, text: str | None) -> None:
        self.__dict__["text"] = text
        if text is not None:
            self.heard.set()


def make_run(task: Any, *args: Any, isolated: bool = False, **options: Any) -> WatchedRun:
    held = Held("0192f0c1-2d3e-7abc-8def-0123456789ab", 1, 1, 1, 0, 0, None, 0, None)
    text = json.dumps(options) if options else None
    claimed = Claimed(
        held,
        task.name,
        task.signature.dump(args, {}),
        0,
        0,
        int(isolated),  # as SQLite gives it, which has no truth values
        0,
        2,
        "default",
        None,
        '["red"]',
        '{"by":"Ann"}',
        text,
        None,
    )
    return WatchedRun(claimed, task, apply_execution(task.defaults, options), app.runtime().engine.clock)


class Harness:
    """A lane, and what it delivered."""

    def __init__(self, limit: int, app_path: str | None, settings: dict[str, Any]) -> None:
        runtime = app.runtime()
        self.runtime = replace(runtime, app_path=app_path, settings=replace(runtime.settings, **settings))
        self.delivered: SimpleQueue[tuple[Run, Outcome]] = SimpleQueue()
        self.lane = ProcessLane("default", Places(limit), self.runtime, lambda *one: self.delivered.put(one))

    def outcome(self) -> Outcome:
        """Return the next outcome that was delivered."""
        return self.delivered.get(timeout=LIMIT_SECONDS)[1]

    def run(self, task: Any, *args: Any, isolated: bool = False, **options: Any) -> Outcome:
        """Run one job and return how it ended."""
        self.lane.submit([make_run(task, *args, isolated=isolated, **options)])
        return self.outcome()

    def result(self, task: Any, *args: Any, **options: Any) -> Any:
        """Run one job and return its result."""
        outcome = self.run(task, *args, **options)
        assert isinstance(outcome, Done), outcome
        return json.loads(outcome.result or "null")


Make = Callable[..., Harness]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Harness] = []

    def harness(limit: int = 1, app_path: str | None = PATH, **settings: Any) -> Harness:
        made.append(Harness(limit, app_path, settings))
        return made[-1]

    before, threads = open_descriptors(), threading.active_count()
    others = set(psutil.Process().children())  # a database server of other tests in this process
    yield harness
    for one in made:
        one.lane.close()
    assert not set(psutil.Process().children()) - others, "a child was left, running or unreaped"
    assert (open_descriptors(), threading.active_count()) == (before, threads)


@pytest.fixture
def lane(make: Make) -> Harness:
    return make()


@pytest.fixture
def fifo(tmp_path: Path) -> Callable[[str], Path]:
    """Return named pipes, by which a job and a test wait for each other."""

    def pipe(name: str) -> Path:
        os.mkfifo(tmp_path / name)
        return tmp_path / name

    return pipe


def open_descriptors() -> int:
    return psutil.Process().num_fds()


class Watched:
    """A process that is no child of ours; its end can be waited for, also while nobody reaps it."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._fd = os.pidfd_open(pid) if sys.platform == "linux" else None

    def is_gone(self, seconds: float) -> bool:
        """Wait for its end, and tell whether it came in time."""
        if self._fd is None:
            _, alive = psutil.wait_procs([psutil.Process(self._pid)], timeout=seconds)
            return not alive
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        try:
            return bool(poll.poll(seconds * 1000))
        finally:
            os.close(self._fd)


# --- running jobs ---------------------------------------------------------------------------------------------------


def test_a_plain_function_runs_in_a_child(lane: Harness) -> None:
    """A `def` task runs in another process, in its main thread, and its result comes back."""
    assert lane.result(process_app.add, 2, 3) == 5
    assert lane.result(process_app.process_id) != os.getpid()
    assert lane.result(process_app.is_main_thread)


def test_what_features_note_of_an_error_comes_back(lane: Harness) -> None:
    """An error is read where it is at hand, in the child, and what was noted reaches the worker with the outcome."""
    for kind, noted in (("down", {"breakers": [0]}), ("wrong", {})):
        lane.lane.submit([make_run(process_app.guarded, kind)])
        run, outcome = lane.delivered.get(timeout=LIMIT_SECONDS)
        assert isinstance(outcome, Failed)
        assert run.signals == noted


def test_a_coroutine_function_runs_in_a_child(lane: Harness) -> None:
    """An `async def` task runs on the child's event loop, the one that async lifespans were entered on."""
    assert lane.result(process_app.add_later, 2, 3) == 5
    assert lane.result(process_app.loop_is_the_lifespans)


def test_a_child_stays_warm(lane: Harness) -> None:
    """Jobs that follow each other run in one process, whose lifespans were entered once."""
    assert lane.result(process_app.process_id) == lane.result(process_app.process_id)
    assert len(lane.result(process_app.lifespans_entered)) == 2


def test_jobs_run_side_by_side_up_to_the_limit(make: Make, fifo: Callable[[str], Path]) -> None:
    """As many jobs as the limit says run at once, each in its own process; the next one waits."""
    lane = make(limit=2)
    pipes = [(fifo(f"begun{n}"), fifo(f"go{n}")) for n in range(2)]
    lane.lane.submit([make_run(process_app.meet, str(begun), str(go)) for begun, go in pipes])
    pids = {begun.read_text() for begun, _ in pipes}
    waiting = make_run(process_app.process_id)
    lane.lane.submit([waiting])
    assert len(pids) == 2
    assert not waiting.is_started
    for _, go in pipes:
        go.write_text("go")
    results = {outcome.result for outcome in (lane.outcome(), lane.outcome(), lane.outcome())}  # type: ignore[union-attr]
    assert results == pids


def test_isolated_jobs_run_one_at_a_time(make: Make, fifo: Callable[[str], Path]) -> None:
    """Of the jobs that may have killed a worker only one runs at a time, while others go on beside it."""
    lane = make(limit=3)
    begun, go = fifo("begun"), fifo("go")
    first, second = make_run(process_app.meet, str(begun), str(go), isolated=True), None
    lane.lane.submit([first])
    pid = begun.read_text()
    second = make_run(process_app.process_id, isolated=True)
    lane.lane.submit([second])
    assert lane.result(process_app.add, 1, 1) == 2
    assert not second.is_started
    go.write_text("go")
    assert [lane.outcome(), lane.outcome()] == [Done(pid), Done(pid)]


def test_large_arguments_and_results_pass(lane: Harness) -> None:
    """Arguments and results of nearly 1 MiB travel whole."""
    assert lane.result(process_app.length, "x" * 1_048_000) == 1_048_000
    assert len(lane.result(process_app.text_of, 1_048_000)) == 1_048_000


def test_an_error_comes_back(lane: Harness) -> None:
    """What a job raises arrives with its type, message, traceback and the wait that the policy says."""
    outcome = lane.run(process_app.fails)
    assert isinstance(outcome, Failed)
    assert (outcome.error.type, outcome.error.message) == ("ValueError", "no such page")
    assert "process_app.py" in (outcome.error.traceback or "")
    assert (outcome.retry_in, outcome.max_attempts) == (7_000_000, 2)


def test_exit_is_an_ordinary_error(lane: Harness) -> None:
    """`sys.exit` in a job ends the attempt, not the child."""
    before = lane.result(process_app.process_id)
    outcome = lane.run(process_app.exits)
    assert isinstance(outcome, Failed)
    assert (outcome.error.type, outcome.error.message) == ("SystemExit", "enough")
    assert lane.result(process_app.process_id) == before


def test_a_result_that_cannot_be_stored_is_rejected(lane: Harness) -> None:
    """A result that is no JSON value makes the job a dead letter with the reason, not a lost one."""
    outcome = lane.run(process_app.not_json)
    assert isinstance(outcome, Rejected)
    assert outcome.error.type == "lineshaft.errors.PayloadError"


def test_a_child_uses_the_worker_s_store(make: Make, tmp_path: Path) -> None:
    """Where the worker was told to use another store than the app names, its children use that one too."""
    address = f"sqlite:///{tmp_path}/other.db"
    assert make(store=address).result(process_app.store) == address


def test_the_job_knows_itself(lane: Harness) -> None:
    """`current_job()` in a child tells what it tells elsewhere."""
    expected = ["0192f0c1-2d3e-7abc-8def-0123456789ab", 1, ["red"], {"by": "Ann"}, "default"]
    assert lane.result(process_app.attempt_and_tags) == expected


def test_progress_and_logs_arrive_while_the_job_runs(lane: Harness, fifo: Callable[[str], Path]) -> None:
    """Progress and log lines reach the worker before the job ends, and the last of them with its end."""
    go = fifo("go")
    run = make_run(process_app.report, str(go))
    lane.lane.submit([run])
    assert run.heard.wait(LIMIT_SECONDS)
    assert json.loads(run.progress_text or "")[:2] == [0.5, "half"]
    go.write_text("go")
    assert lane.outcome() == Done("null")
    assert json.loads(run.progress_text or "")[:2] == [1.0, "done"]
    assert run.joblog is not None
    lines = [json.loads(line) for line in run.joblog.text().splitlines()]
    assert [line["message"] for line in lines] == ["half of it is done", "all of it is done"]


def test_progress_is_sent_seldom(lane: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that reports its progress all the time sends two messages a second and its last word, no more."""
    run = make_run(process_app.talk_much)
    words: list[str | None] = []
    monkeypatch.setattr(run, "heard", _Recorder(words, run))
    lane.lane.submit([run])
    assert lane.outcome() == Done("null")
    assert json.loads(run.progress_text or "")[0] == 1
    assert 1 <= len(words) <= 3


class _Recorder(threading.Event):
    """Notes each word that arrives."""

    def __init__(self, words: list[str | None], run: WatchedRun) -> None:
        super().__init__()
        self._words, self._run = words, run

    def set(self) -> None:
        self._words.append(self._run.progress_text)


# --- stopping jobs --------------------------------------------------------------------------------------------------


@pytest.fixture
def long_clean_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have stopped jobs clean up for as long as a busy machine needs: the kill is what other tests are about."""
    monkeypatch.setattr(pool, "_CLEAN_UP_SECONDS", dict.fromkeys(("timeout", "cancel", "shutdown"), LIMIT_SECONDS))


@pytest.mark.usefixtures("long_clean_up")
def test_a_cancel_is_seen_by_the_job(make: Callable[..., Harness], fifo: Callable[[str], Path], tmp_path: Path) -> None:
    """A job that waits in a blocking call gets `Cancelled` with its cause, and ends as cancelled."""
    lane, begun, seen = make(stop_patience=100_000_000), fifo("begun"), tmp_path / "seen"
    run = make_run(process_app.wait_for_cancel, str(begun), str(seen))
    lane.lane.submit([run])
    begun.read_text()
    lane.lane.stop(run, "cancel")
    assert lane.outcome() == Stopped()
    assert seen.read_text() == "cancel"
    assert run.stop_cause == "cancel"


@pytest.mark.usefixtures("long_clean_up")
def test_a_coroutine_is_cancelled(make: Callable[..., Harness], fifo: Callable[[str], Path], tmp_path: Path) -> None:
    """An async job gets `CancelledError`, and at shutdown goes back untouched."""
    lane, begun, seen = make(stop_patience=100_000_000), fifo("begun"), tmp_path / "seen"
    run = make_run(process_app.wait_for_cancel_async, str(begun), str(seen))
    lane.lane.submit([run])
    begun.read_text()
    lane.lane.stop(run, "shutdown")
    assert lane.outcome() == Interrupted()
    assert seen.exists()


def test_a_stop_never_hits_the_next_job(lane: Harness) -> None:
    """A stop for a job that has ended changes nothing for those that follow in its child."""
    run = make_run(process_app.process_id)
    lane.lane.submit([run])
    pid = lane.outcome()
    lane.lane.stop(run, "cancel")
    assert lane.run(process_app.process_id) == pid
    assert run.stop_cause is None


def test_a_timeout_ends_code_that_never_returns_to_python(lane: Harness, fifo: Callable[[str], Path]) -> None:
    """A regular expression that backtracks for ever, holding the interpreter, is killed and reported as timed out."""
    begun = fifo("begun")
    run = make_run(process_app.spin, str(begun), timeout=1_500_000)
    lane.lane.submit([run])
    child = Watched(int(begun.read_text()))
    wait_until_it_spins(lane, run)
    lane.lane.stop(run, "timeout")
    outcome = lane.outcome()
    assert isinstance(outcome, TimedOut)
    assert outcome.error.message == "the attempt ran longer than its timeout of 1.5 s"
    assert (outcome.retry_in, outcome.max_attempts) == (7_000_000, 2)
    assert child.is_gone(0)
    assert lane.result(process_app.add, 1, 1) == 2


def test_a_kill_reaches_what_the_job_started(lane: Harness, fifo: Callable[[str], Path]) -> None:
    """A job that ignores every signal and error is killed with the programs that it started, in other sessions too."""
    begun = fifo("begun")
    run = make_run(process_app.ignore_everything, str(begun))
    lane.lane.submit([run])
    processes = [Watched(int(pid)) for pid in begun.read_text().split()]
    lane.lane.stop(run, "timeout")
    assert isinstance(lane.outcome(), TimedOut)
    assert [one.is_gone(5) for one in processes] == [True, True, True]


@pytest.mark.parametrize("task", [process_app.wait_for_cancel, process_app.wait_for_cancel_async])
def test_where_a_job_is(lane: Harness, fifo: Callable[[str], Path], tmp_path: Path, task: Any) -> None:
    """The stack of a running job names the function that waits; that of one that ended is empty."""
    begun = fifo("begun")
    run = make_run(task, str(begun), str(tmp_path / "seen"))
    lane.lane.submit([run])
    begun.read_text()
    # A coroutine that is being stepped at this moment has no frames to show: ask again.
    eventually(lambda: f"in {task.__name__}" in lane.lane.stack_of(run))
    lane.lane.stop(run, "cancel")
    lane.outcome()
    assert lane.lane.stack_of(run) == ""


def test_a_stack_that_cannot_be_told(lane: Harness, fifo: Callable[[str], Path]) -> None:
    """Asking where a job is that holds its interpreter says so within a second."""
    begun = fifo("begun")
    run = make_run(process_app.spin, str(begun))
    lane.lane.submit([run])
    begun.read_text()
    wait_until_it_spins(lane, run)
    lane.lane.stop(run, "timeout")
    lane.outcome()


def wait_until_it_spins(lane: Harness, run: Run) -> None:
    while "does not answer" not in lane.lane.stack_of(run):
        pass


def test_a_replaced_job_gives_its_slot_away(make: Make, fifo: Callable[[str], Path]) -> None:
    """Replacing a job kills its child and lets the next job run at once."""
    lane = make(stop_patience=100_000_000)
    begun = fifo("begun")
    run = make_run(process_app.ignore_everything, str(begun))
    lane.lane.submit([run])
    begun.read_text()
    lane.lane.stop(run, "cancel")
    lane.lane.replace(run)
    assert lane.outcome() == Stopped()
    assert lane.result(process_app.add, 1, 1) == 2


# --- children that die ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "task, args, how",
    [
        (process_app.segfault, (), "the process died with signal SIGSEGV (11)"),
        (process_app.kill_itself, (), "the process died with signal SIGKILL (9)"),
        (process_app.leave, (3,), "the process died with exit code 3"),
    ],
)
def test_a_child_that_dies_loses_its_job(lane: Harness, task: Any, args: tuple[Any, ...], how: str) -> None:
    """A crash of the process is told as such, with the policy's wait, and the next job gets a new process."""
    outcome = lane.run(task, *args)
    assert isinstance(outcome, Lost)
    assert (outcome.error.type, outcome.error.message) == ("lineshaft.ChildDied", how)
    assert (outcome.retry_in, outcome.max_losses) == (7_000_000, 2)
    assert lane.result(process_app.add, 1, 1) == 2


def test_a_policy_that_breaks_does_not_stop_the_lane(lane: Harness) -> None:
    """A lost job whose backoff raises is tried again after a second."""
    outcome = lane.run(process_app.leave_without_a_wait)
    assert isinstance(outcome, Lost)
    assert outcome.retry_in == 1_000_000


def test_memory_that_cannot_be_had_is_an_ordinary_error(lane: Harness) -> None:
    """`MemoryError` under a limit fails the attempt; the worker does not count it as lost."""
    outcome = lane.run(process_app.too_much_memory)
    assert isinstance(outcome, Failed)
    assert outcome.error.type == "MemoryError"


def test_a_child_is_replaced_after_its_jobs(make: Make) -> None:
    """A child that ran `child_max_jobs` jobs leaves, and the next job finds a new one."""
    lane = make(child_max_jobs=2)
    pids = [lane.result(process_app.process_id) for _ in range(3)]
    assert pids[0] == pids[1] != pids[2]


def test_a_child_is_replaced_when_it_has_grown(make: Make) -> None:
    """A child that holds more than `child_max_memory` after a job leaves; a small one stays."""
    lane = make(child_max_memory=200 << 20)
    small = lane.result(process_app.grow, 1)
    assert lane.result(process_app.grow, 200) == small
    assert lane.result(process_app.process_id) != small


def test_idle_children_leave_their_lifespans(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing the lane ends an idle child in order: what its lifespan does last is done when `close` returns."""
    monkeypatch.setenv("TELL_END", str(tmp_path / "end"))
    lane = make()
    lane.run(process_app.add, 1, 1)
    lane.lane.close()
    assert (tmp_path / "end").read_text() == "left"


def test_closing_gives_a_running_job_back(make: Make, fifo: Callable[[str], Path]) -> None:
    """A job that still runs when the lane is closed is killed and put back."""
    lane = make()
    begun = fifo("begun")
    lane.lane.submit([make_run(process_app.spin, str(begun))])
    begun.read_text()
    lane.lane.close()
    assert lane.outcome() == Interrupted()


def test_unstarted_jobs_can_be_taken_back(make: Make, fifo: Callable[[str], Path]) -> None:
    """`withdraw` returns what no child has started, isolated jobs too, and nothing twice."""
    lane = make()
    begun, go = fifo("begun"), fifo("go")
    lane.lane.submit([make_run(process_app.meet, str(begun), str(go))])
    begun.read_text()
    waiting = [make_run(process_app.process_id), make_run(process_app.process_id, isolated=True)]
    lane.lane.submit(waiting)
    assert set(lane.lane.withdraw()) == set(waiting)
    assert lane.lane.withdraw() == []
    go.write_text("go")
    assert isinstance(lane.outcome(), Done)


def test_what_a_job_leaves_running_ends_with_its_child(make: Make, fifo: Callable[[str], Path]) -> None:
    """A program that a crashed job started does not run on beside the job's next attempt."""
    lane = make()
    begun = fifo("begun")
    lane.lane.submit([make_run(process_app.start_and_crash, str(begun))])
    sleeper = Watched(int(begun.read_text()))
    assert isinstance(lane.outcome(), Lost)
    assert sleeper.is_gone(5)


def test_garbage_from_a_child_ends_it(lane: Harness) -> None:
    """A job that writes into the connection to the worker costs its child, and is lost, not stuck."""
    assert isinstance(lane.run(process_app.write_garbage), Lost)
    assert lane.result(process_app.add, 1, 1) == 2


def children_of(pid: int) -> list[Watched]:
    return [Watched(one.pid) for one in psutil.Process(pid).children(recursive=True)]


@pytest.mark.parametrize("job", ["idle", "spin", "ignore_everything"])
def test_children_die_with_their_worker(job: str, fifo: Callable[[str], Path]) -> None:
    """A killed worker's children are gone within a second, idle or not, with what their jobs started in their group."""
    begun = fifo("begun")
    with subprocess.Popen([sys.executable, str(PARENT), job, str(begun)], stdout=subprocess.PIPE) as parent:
        pids = {int(pid) for pid in begun.read_text().split()}
        children = children_of(parent.pid)
        assert len(children) >= len(pids)
        own_session = {one for one in pids if os.getsid(one) == one and one != min(pids)}
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        gone = {one._pid: one.is_gone(1) for one in children}
        for pid in own_session:  # beyond reach: nobody is left who knows of it
            os.kill(pid, signal.SIGKILL)
    assert {pid for pid, is_gone in gone.items() if not is_gone} == own_session


# --- starting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source, reason",
    [
        ("import nothing_like_this", "ModuleNotFoundError: No module named 'nothing_like_this'"),
        ("other = 1", "lineshaft.errors.ConfigError: broken_app has no 'app' before it starts a worker"),
        ("import os; os._exit(7)", "the process died with exit code 7"),
    ],
)
def test_an_app_that_cannot_be_imported(
    make: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    source: str,
    reason: str,
) -> None:
    """A job whose children cannot start is put back after three tries with the reason, which is logged once."""
    (tmp_path / "broken_app.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    lane = make(limit=4, app_path="broken_app:app")
    with caplog.at_level(logging.ERROR, "lineshaft.worker"):
        outcome = lane.run(process_app.add, 1, 1)
    assert isinstance(outcome, Unready)
    assert outcome.error.message.startswith(f"no child process could be started: {reason}")
    assert caplog.text.count("could not start") == 1
    assert reason in caplog.text


def test_an_app_that_nobody_can_find(make: Make) -> None:
    """Where the app has no importable name, jobs are rejected with the reason, without starting a child."""
    outcome = make(app_path=None).run(process_app.add, 1, 1)
    assert isinstance(outcome, Rejected)
    assert outcome.error.message.startswith("no child process can find the app")


SCRIPT = """
from lineshaft import Lineshaft

app = Lineshaft("memory://")

@app.task(runs_in="process")
def add(a: int, b: int) -> int:
    return 100 * a + b

{call}
    raise AssertionError("a child runs no worker")
"""


@pytest.mark.parametrize("call", ["with app.worker():", "if app.run() is None:"])
def test_a_child_stops_where_a_script_starts_its_worker(make: Make, tmp_path: Path, call: str) -> None:
    """A script needs no guard: its children take the app as it is at the line that starts a worker."""
    script = tmp_path / "shop_script.py"
    script.write_text(SCRIPT.format(call=call))
    lane = make(app_path=f"file:{script}:app")
    assert lane.result(Task(process_app.add.func, "shop_script.add", Options()), 4, 2) == 402


@pytest.mark.parametrize(
    "path, reason",
    [
        ("shop", "'shop' must look like module:name"),
        ("no_such_module:app", "there is no module 'no_such_module'"),
        ("half.shop:lost", "half.shop has no 'lost' before it starts a worker"),
    ],
)
def test_a_wrong_path_to_the_app(half: None, path: str, reason: str) -> None:
    """A path that leads to no app is refused with what is wrong with it."""
    with pytest.raises(ConfigError, match=reason):
        load_app(path)


def test_a_module_is_kept_as_far_as_it_was_imported(half: None) -> None:
    """A module of a package that stops on the way is found by whoever imports it afterwards, and not run again."""
    assert load_app("half.shop:app") == "app"
    assert sys.modules["half"].shop is sys.modules["half.shop"]
    assert load_app("half.shop:runs") is sys.modules["half"].shop.runs


@pytest.fixture
def half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "__init__.py").touch()
    stops = "from lineshaft.worker.child import ImportStop; raise ImportStop"
    (tmp_path / "half" / "shop.py").write_text(f"app = 'app'; runs = [1]; {stops}; lost = 1")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in ("half", "half.shop"):
        sys.modules.pop(name, None)


def test_a_task_that_the_child_does_not_know(lane: Harness) -> None:
    """A job whose task the child's code lacks is put back for a newer worker."""
    outcome = lane.run(Task(process_app.add.func, "newer.task", Options()), 1, 1)
    assert isinstance(outcome, Unknown)
    assert "newer.task" in outcome.error.message


# --- a stop and the ends of jobs, step by step ------------------------------------------------------------------------


@pytest.fixture
def runner() -> Iterator[JobRunner]:
    loop = LoopThread()
    loop.start()
    runner = JobRunner(app.runtime(), loop, Reporter(lambda _: None))
    before = signal.signal(signal.SIGINT, runner.on_signal)
    yield runner
    signal.signal(signal.SIGINT, before)
    loop.close()
    loop.thread.join(LIMIT_SECONDS)


@pytest.mark.parametrize("task", [process_app.add, process_app.add_later])
def test_a_stop_before_the_first_line(runner: JobRunner, task: Any) -> None:
    """A job that is told to stop before it begins does not begin, in a thread or on the loop."""
    work = runner.take(1, make_run(task, 1, 1).claimed)
    runner.stop(1, "cancel")
    assert runner.run(work) == Stopped()


@pytest.mark.parametrize("task", [process_app.add, process_app.add_later])
def test_a_stop_after_the_last_line(runner: JobRunner, task: Any) -> None:
    """A stop that comes too late is forgotten: neither the job that ended nor the one that follows sees it."""
    assert runner.run(runner.take(1, make_run(task, 1, 1).claimed)) == Done("2")
    runner.stop(1, "cancel")
    second = runner.take(2, make_run(task, 1, 2).claimed)
    runner.stop(1, "cancel")
    assert runner.run(second) == Done("3")


def test_a_signal_that_is_not_ours(runner: JobRunner) -> None:
    """SIGINT without a stop from the worker interrupts no job."""
    assert runner.run(runner.take(1, make_run(process_app.interrupt_itself).claimed)) == Done('"unharmed"')


# --- messages -------------------------------------------------------------------------------------------------------

ERROR = JobError(3, "ValueError", "no", None, 5)


@pytest.mark.parametrize(
    "outcome",
    [
        Done(None),
        Done("[1]"),
        Settled(),
        Failed(ERROR, None, 3),
        Rejected(ERROR),
        TimedOut(ERROR, 7, 3),
        Stopped(),
        Snoozed(9),
        Interrupted(),
        Unknown(ERROR),
        Unready(ERROR),
        Lost(ERROR, 1, 2),
    ],
)
def test_every_outcome_travels(outcome: Outcome) -> None:
    """An outcome that a child sends arrives equal and of the same type, in whatever pieces its bytes come."""
    data = wire.frame(wire.ended(1, outcome))
    frames = wire.frames_from_child()
    messages = [message for byte in data for message in frames.feed(bytes([byte]))]
    assert len(messages) == 1
    received = wire.outcome_of(messages[0])
    assert (received, type(received)) == (outcome, type(outcome))


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"\xff\xff\xff\xff", "4294967295 bytes"),
        (b"\x00\x00\x00\x01\x00", "Expected `object`"),
        (b"\x00\x00\x00\x02\x80\x80", "missing required field `type`"),
    ],
)
def test_what_is_no_message_is_refused(data: bytes, reason: str) -> None:
    """Bytes that no child sends are an error, not a wait for the rest of them."""
    with pytest.raises(ValueError, match=reason):
        wire.frames_from_child().feed(data)


def test_an_unknown_outcome_is_refused() -> None:
    """An outcome of another version is an error that says so."""
    message = wire.Ended(1, "Celebrated", msgspec.Raw(b"\x90"))
    with pytest.raises(ValueError, match="'Celebrated' is no outcome"):
        wire.outcome_of(message)
