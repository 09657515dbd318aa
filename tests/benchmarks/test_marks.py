"""The marks that measured jobs write: what is noted is read, by whom and whatever happened to the writer."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import marks
from benchmarks.marks import CAPACITY, Journal, Kind

MARKS = Path(marks.__file__)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new folder of marks that this process writes to; what it wrote before is left alone."""
    monkeypatch.setenv("BENCH_MARKS", str(tmp_path))
    monkeypatch.setattr(marks, "_mine", marks._Mine())
    return tmp_path


@pytest.fixture
def script(folder: Path) -> Callable[[str], subprocess.Popen[str]]:
    """Start a Python process that has `marks` and this folder."""
    environment = dict(os.environ, BENCH_MARKS=str(folder), PYTHONPATH=str(MARKS.parent))

    def start(code: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", f"import os, time, marks\n{code}"]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    return start


def wait_until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds; fail after ten seconds."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end


def test_a_note_is_read_as_it_was_written(folder: Path) -> None:
    """A mark has the job's number, the time of the call on the monotonic clock, the kind and the process."""
    before = time.monotonic_ns()
    marks.note(7)
    after = time.monotonic_ns()

    [mark] = marks.read(folder)

    assert (mark.number, mark.kind, mark.pid) == (7, Kind.START, os.getpid())
    assert before <= mark.at_ns <= after


def test_marks_are_sorted_by_time_over_processes(folder: Path, script: Callable[[str], subprocess.Popen[str]]) -> None:
    """Marks of several processes come as one list in the order in which they were noted."""
    marks.note(1)
    script("marks.note(2)").communicate()
    marks.note(3)

    assert [mark.number for mark in marks.read(folder)] == [1, 2, 3]


def test_an_empty_folder_has_no_marks(folder: Path) -> None:
    """Nothing noted reads as nothing."""
    assert marks.read(folder) == []
    assert marks.count(folder) == 0


def test_a_file_that_was_just_made_has_no_marks(folder: Path) -> None:
    """A writer that was stopped between making its file and giving it a length does not disturb a reader."""
    marks.note(1)
    (folder / "12-new").touch()

    assert marks.count(folder) == 1
    assert [mark.number for mark in marks.read(folder)] == [1]


def test_more_marks_than_one_file_holds_are_all_kept(folder: Path) -> None:
    """A full file is followed by another one; none is lost at the seam."""
    journal = Journal(folder)
    for number in range(CAPACITY + 2):
        journal.note(number, Kind.START)

    assert len(list(folder.iterdir())) == 2
    assert [mark.number for mark in marks.read(folder)] == list(range(CAPACITY + 2))
    assert marks.count(folder) == CAPACITY + 2


def test_threads_lose_no_mark(folder: Path) -> None:
    """Marks that threads note at once are all there, once each."""
    sizes = range(4)
    threads = [threading.Thread(target=lambda n=n: [marks.note(n * 5_000 + i) for i in range(5_000)]) for n in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(mark.number for mark in marks.read(folder)) == list(range(20_000))
    assert marks.count(folder) == 20_000


def test_a_forked_child_writes_a_file_of_its_own(folder: Path, script: Callable[[str], subprocess.Popen[str]]) -> None:
    """After a fork both processes note on, each under its own pid."""
    fork = "marks.note(1)\nchild = os.fork()\nif child:\n    os.waitpid(child, 0)\nmarks.note(2 if child else 3)"
    script(fork).communicate()

    pids = {mark.number: mark.pid for mark in marks.read(folder)}

    assert pids.keys() == {1, 2, 3}
    assert pids[1] == pids[2] != pids[3]


def test_each_thread_writes_a_file_of_its_own(folder: Path) -> None:
    """Threads wait for nobody: what they note goes to different files."""
    marks.note(1)
    thread = threading.Thread(target=marks.note, args=(2,))
    thread.start()
    thread.join()

    assert len(list(folder.iterdir())) == 2
    assert [mark.number for mark in marks.read(folder)] == [1, 2]


def test_marks_outlive_a_kill(folder: Path, script: Callable[[str], subprocess.Popen[str]]) -> None:
    """What a process noted before SIGKILL is read after it, up to the last mark."""
    child = script("for n in range(1000): marks.note(n)\nprint('noted', flush=True)\ntime.sleep(60)")
    assert child.stdout is not None
    child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.communicate()

    assert [mark.number for mark in marks.read(folder)] == list(range(1000))


def test_hold_ends_after_the_gate_was_opened(folder: Path) -> None:
    """A held job has started and not ended until somebody opens the gate."""
    thread = threading.Thread(target=marks.hold, args=(5,))
    thread.start()
    wait_until(lambda: marks.count(folder) == 1)
    assert marks.count(folder, Kind.END) == 0

    opened = time.monotonic_ns()
    marks.open_gate(folder)
    thread.join(timeout=10)

    start, end = marks.read(folder)
    assert (start.kind, end.kind, end.number) == (Kind.START, Kind.END, 5)
    assert start.at_ns < opened < end.at_ns
    assert (marks.count(folder), marks.count(folder, Kind.END)) == (1, 1)


def test_ahold_leaves_the_event_loop_to_others(folder: Path) -> None:
    """Held coroutines of one loop all start before the gate is opened, and all end after it."""

    async def hold_three() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(marks.ahold(number))
            await asyncio.sleep(0)  # one turn of the loop
            assert marks.count(folder) == 3
            marks.open_gate(folder)

    asyncio.run(asyncio.wait_for(hold_three(), timeout=10))

    assert [mark.kind for mark in marks.read(folder)] == [Kind.START] * 3 + [Kind.END] * 3
