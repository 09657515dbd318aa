"""Hosts whose clocks differ, and clocks that are set while everything runs: processes under the real libfaketime.

Its library stands before the system's in a process and lies about the time of day; monotonic clocks stay true.
"""

from __future__ import annotations

import importlib.util
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from lineshaft import Lineshaft
from lineshaft.clock import SECOND
from tests.chaos.conftest import FOLDER, Chaos
from tests.chaos.history import Kind
from tests.plugins.apps import Process, StartProcess, eventually

HOUR_SECONDS: Final = 3600
LENIENCE: Final = SECOND // 10
MakeApp = Callable[..., Lineshaft]
CLIENT: Final = """
import sys, time
sys.path.insert(0, sys.argv[1])
import history
from lineshaft import Lineshaft
offset = int(sys.argv[4])
history.now = lambda: time.monotonic_ns() // 1_000 + offset
app, recorder = Lineshaft(sys.argv[2]), history.Recorder(sys.argv[3])
plain = app.task(name="work.plain")(lambda key: key)
for line in sys.stdin:
    key, delay = line.split()
    recorder.note(history.Kind.SENT, key)
    recorder.note(history.Kind.ACKNOWLEDGED, key, plain.options(delay=float(delay)).enqueue(key).id)
    print("stored", key, flush=True)
"""
_BUILT_FOR: Final = ("linux", "x86_64")
"""What the wheel's library is built for."""


def _library() -> Path | None:
    """Return libfaketime's library where it can be had."""
    found = importlib.util.find_spec("libfaketime")
    if found is None or not found.submodule_search_locations or (sys.platform, platform.machine()) != _BUILT_FOR:
        return None
    return Path(found.submodule_search_locations[0], "vendor", "libfaketime", "src", "libfaketime.so.1")


LIBRARY: Final = _library()
pytestmark = [
    pytest.mark.skipif(LIBRARY is None, reason="libfaketime's wheel has a library for Linux on x86-64 only"),
]


def lying(**variables: str) -> dict[str, str]:
    """Return the environment of a process whose time of day is not the true one."""
    return {"LD_PRELOAD": str(LIBRARY), "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DISABLE_SHM": "1", **variables}


def true_offset() -> int:
    """Return by how many microseconds the true time is ahead of the monotonic clock, which nobody lies about."""
    return (time.time_ns() - time.monotonic_ns()) // 1_000


def start_early(chaos: Chaos) -> list[str]:
    """Return the jobs that were started before their delay, the number behind `+` in their key, was over."""
    events = chaos.events()
    stored = {one.key: one.at for one in events if one.kind == Kind.SENT}
    return [
        one.key
        for one in events
        if one.kind == Kind.START and "+" in one.key
        and one.at - stored[one.key] < float(one.key.partition("+")[2]) * SECOND - LENIENCE
    ]  # fmt: skip


def test_hosts_an_hour_apart(postgres_url: str, tmp_path: Path, make_app: MakeApp, start_process: StartProcess) -> None:
    """With one host an hour ahead and one an hour behind, nobody is taken for dead, and a killed one is, at once."""
    chaos = Chaos(postgres_url, tmp_path, make_app, start_process)
    chaos.make_effects()
    settings = {"clock_offset": true_offset()}
    chaos.environment = lying(FAKETIME=f"+{HOUR_SECONDS}")
    ahead = chaos.worker(**settings)
    chaos.enqueue("held", "held", "gate")
    ahead.expect("start held")
    chaos.environment = lying(FAKETIME=f"-{HOUR_SECONDS}")
    behind = chaos.worker(**settings)
    for number in range(40):
        chaos.enqueue(("plain", "transactional", "failing")[number % 3], f"job{number}")
        chaos.enqueue("plain", f"later{number}+1", delay="1s")
    eventually(lambda: chaos.unfinished() == ["held"])
    assert {one.pid for one in chaos.app.workers.list()} == {ahead.pid, behind.pid}
    assert "is gone" not in ahead.errors() + behind.errors()
    assert not start_early(chaos)
    chaos.kill(ahead)
    behind.expect("start held")
    chaos.settle()
    chaos.assert_in_order()
    assert {ahead.pid, behind.pid} <= {one.worker for one in chaos.events() if one.kind == Kind.START}


def test_clock_is_set_while_workers_run(chaos: Chaos, tmp_path: Path, start_process: StartProcess) -> None:
    """A clock that is set an hour forward and two back makes no worker dead, and hides the death of none."""
    chaos.make_effects()
    clock, settings = Clock(tmp_path / "clock"), {"clock_offset": true_offset()}
    is_sqlite = chaos.url.startswith("sqlite")
    chaos.environment = clock.environment
    jumping = chaos.worker(**settings)
    chaos.enqueue("held", "held", "gate")
    jumping.expect("start held")
    chaos.environment = clock.environment if is_sqlite else {}  # the hosts of a SQLite store are one machine
    steady = chaos.worker(**settings)
    client = start_client(chaos, tmp_path, start_process)
    for number, hours in enumerate((1, -1, 0)):
        clock.set(hours)
        keys = [f"{number}-{one}+{one % 2}" for one in range(20)]
        for key in keys:
            client.say(f"{key} {key[-1]}")
        client.expect(f"stored {keys[-1]}")
        eventually(lambda: chaos.unfinished() == ["held"])
        assert {one.pid for one in chaos.app.workers.list()} == {jumping.pid, steady.pid}
    assert "is gone" not in jumping.errors() + steady.errors()
    assert not start_early(chaos)
    clock.set(1)
    beat_anew(chaos)
    chaos.kill(jumping)
    clock.set(-1)
    steady.expect("start held")
    chaos.settle()
    found = chaos.findings()
    assert not [*found.lost, *found.doubled, *found.ghosts, *found.overlapping]


class Clock:
    """The time of day that a machine's processes are told."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.set(0)
        self.environment = lying(FAKETIME_TIMESTAMP_FILE=str(path), FAKETIME_NO_CACHE="1")

    def set(self, hours: int) -> None:
        """Put it so many hours before the true time."""
        self.set_seconds(hours * HOUR_SECONDS)

    def set_seconds(self, seconds: int) -> None:
        """Put it so many seconds before the true time."""
        new = self._path.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self._path)


def start_client(chaos: Chaos, folder: Path, start_process: StartProcess) -> Process:
    """Start a client on the machine of the workers; a line `key delay` has it enqueue a job."""
    script = folder / "client.py"
    script.write_text(CLIENT)
    arguments = (str(FOLDER), chaos.url, str(chaos.history), str(true_offset()))
    return start_process(script, *arguments, **chaos.environment)


def beat_anew(chaos: Chaos) -> None:
    """Wait until each worker has said once more that it lives."""
    before = {one.id: one.heartbeat_at for one in chaos.app.workers.list()}
    eventually(lambda: all(one.heartbeat_at != before[one.id] for one in chaos.app.workers.list()))
