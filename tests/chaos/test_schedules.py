"""Schedules while leaders are killed, stopped and told to end, servers restart and clocks are set: each tick once."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from lineshaft import Lineshaft
from tests.chaos.conftest import Chaos
from tests.chaos.history import Kind
from tests.chaos.test_skew import LIBRARY, Clock, true_offset
from tests.chaos.ticking import Fleet, Ticking
from tests.plugins.apps import StartProcess, eventually
from tools.temporary_postgres import TemporaryPostgres

MakeApp = Callable[..., Lineshaft]
Note = Callable[[str, object], None]

LEASE: Final = {"lease": "2s"}
SLOW: Final = {"heartbeat": "0.2s", "silence": "2s", "lease": "8s"}
"""Where a server may take its time to recover."""
BETWEEN: Final = 10
"""So many ticks come between two faults."""


def disturb(ticking: Ticking, fleet: Fleet, faults: dict[str, Callable[[], object]], seed: int) -> dict[str, int]:
    """Do one fault after the other until the last tick has come, each kind once at first; return how many of each."""
    picks = random.Random(seed)  # noqa: S311 - picks faults, guards nothing
    done = dict.fromkeys(faults, 0)
    line = list(faults)
    while not ticking.is_over():
        name = line.pop(0) if line else picks.choice(list(faults))
        faults[name]()
        done[name] += 1
        ticking.await_ticks(BETWEEN)
    ticking.settle()
    assert all(done.values()), f"a kind of fault had no turn: {done}"
    assert "Traceback" not in fleet.errors()
    return done


def run_under_faults(chaos: Chaos, note: Note, *, schedules: int, seconds: float, seed: int) -> None:
    ticking = Ticking(chaos)
    fleet = Fleet(ticking, 3, **LEASE)
    ticking.create_fleet(schedules, lasts=seconds)
    faults: dict[str, Callable[[], object]] = {
        "kill": fleet.kill, "nap": lambda: fleet.nap(BETWEEN), "stop": fleet.stop, "pause": fleet.pause,
    }  # fmt: skip
    done = disturb(ticking, fleet, faults, seed)
    ticking.assert_each_tick_once()
    note("faults", done)
    note("ticks", ticking.count())
    note("latest", f"{ticking.latest():.3f} s")


def test_each_tick_once_under_faults(chaos: Chaos, record_property: Note) -> None:
    """Leaders killed, told to end, stopped for a while or beyond their lease: each tick has one row and one job."""
    run_under_faults(chaos, record_property, schedules=15, seconds=14, seed=1)


@pytest.mark.chaos
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", range(3))
def test_each_tick_once_under_many_faults(chaos: Chaos, record_property: Note, seed: int) -> None:
    """As above for 50 schedules, again and again."""
    run_under_faults(chaos, record_property, schedules=50, seconds=90, seed=seed)


def run_under_restarts(
    server: TemporaryPostgres, ticking: Ticking, note: Note, *, schedules: int, seconds: float
) -> None:
    fleet = Fleet(ticking, 3, **SLOW)
    ticking.create_fleet(schedules, lasts=seconds)
    faults: dict[str, Callable[[], object]] = {
        "fast": lambda: server.restart("fast"), "immediate": lambda: server.restart("immediate"), "kill": fleet.kill,
    }  # fmt: skip
    note("faults", disturb(ticking, fleet, faults, 1))
    ticking.assert_each_tick_once()
    note("latest", f"{ticking.latest():.3f} s")


@pytest.fixture
def server(own_postgres_server: Callable[..., TemporaryPostgres]) -> TemporaryPostgres:
    return own_postgres_server()


@pytest.fixture
def own(server: TemporaryPostgres, tmp_path: Path, make_app: MakeApp, start_process: StartProcess) -> Ticking:
    """A store on a server that the test may restart; its client is patient."""

    def make_patient(url: str) -> Lineshaft:
        return make_app(url, patience="30s")

    return Ticking(Chaos(server.url, tmp_path, make_patient, start_process))


def test_each_tick_once_across_restarts(server: TemporaryPostgres, own: Ticking, record_property: Note) -> None:
    """A PostgreSQL server that restarts in order and by a crash costs no tick and doubles none."""
    run_under_restarts(server, own, record_property, schedules=10, seconds=12)


@pytest.mark.chaos
@pytest.mark.timeout(400)
def test_each_tick_once_across_many_restarts(server: TemporaryPostgres, own: Ticking, record_property: Note) -> None:
    """As above for 50 schedules, again and again."""
    run_under_restarts(server, own, record_property, schedules=50, seconds=90)


@pytest.mark.skipif(LIBRARY is None, reason="libfaketime's wheel has a library for Linux on x86-64 only")
def test_each_tick_once_while_the_clock_is_set(tmp_path: Path, make_app: MakeApp, start_process: StartProcess) -> None:
    """A machine's clock that is set forward and back under the leader's feet brings each tick once, none twice.

    By less than the grace: the ticks that it leaps are on time. (The time of a PostgreSQL store is its server's.)
    """
    chaos = Chaos(f"sqlite:///{tmp_path / 'jobs.db'}", tmp_path, make_app, start_process)
    ticking, clock = Ticking(chaos), Clock(tmp_path / "clock")
    chaos.environment = clock.environment
    settings: dict[str, Any] = {"clock_offset": true_offset()}
    fleet = Fleet(ticking, 2, **settings)
    ticking.create_fleet(10, lasts=70)
    for seconds in (20, 0, 35, 15):
        before = ticking.count()
        clock.set_seconds(seconds)
        if seconds >= 20:  # where no clock had been before
            eventually(lambda before=before: ticking.count() > before)
        fleet.kill()
    clock.set_seconds(71)
    ticking.settle()
    ticking.assert_each_tick_once(early=72)


@pytest.mark.chaos
@pytest.mark.timeout(200)
def test_each_tick_once_though_a_leader_froze_in_its_transaction(
    postgres_url: str, tmp_path: Path, make_app: MakeApp, start_process: StartProcess
) -> None:
    """What a frozen leader has locked, its server takes back after a minute: no tick is lost or doubled by that.

    Meanwhile all other schedules tick on. (On SQLite nobody writes beside a process that froze while it did.)
    """
    chaos = Chaos(postgres_url, tmp_path, make_app, start_process)
    ticking = Ticking(chaos)
    ticking.create("held", every="1s", lasts=70)
    frozen = chaos.start_worker(points=str(chaos.points), target="tick add_ticks: after", act="ask", **LEASE)
    frozen.expect("reached")
    frozen.send(signal.SIGSTOP)
    chaos.recorder.note(Kind.PAUSED, worker=frozen.pid)
    ticking.create("free", every="1s", lasts=70)
    chaos.worker(**LEASE)
    eventually(lambda: any(tick.schedule == "free" for tick in ticking.ticks()))
    assert not any(tick.schedule == "held" for tick in ticking.ticks())
    ticking.settle(120)
    frozen.send(signal.SIGCONT)
    frozen.say("go on")
    frozen.end()
    ticking.assert_each_tick_once()
