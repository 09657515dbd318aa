"""A backup that is restored under running workers: they are fenced out, and nothing runs again unasked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lineshaft import Lineshaft
from lineshaft.backup import Restored, back_up, restore
from lineshaft.doctor import Patient, ailments, examine
from lineshaft.store.epoch import LEAP
from tests.chaos.conftest import Chaos
from tests.chaos.history import FINAL, Bounds, Event, Findings, Kind, check, now
from tests.plugins.apps import Process, StartProcess, eventually

RESTORED = "the store was restored from a backup"
MADE_ANEW = "the store was emptied or made anew"
DEAF = {"stop_patience": "10s"}
"""Time for a job that ignores its stop to try what it may not do any more."""


class Quiet:
    """Looks on and says nothing."""

    def step(self, what: str, total: int) -> None:
        """Hear nothing."""

    def reached(self, done: int) -> None:
        """Hear nothing."""


class Rewound:
    """A chaos store with a backup; the history between the backup and its restore is undone."""

    def __init__(self, chaos: Chaos) -> None:
        self.chaos = chaos
        self._file = chaos.folder / "jobs.backup"

    def back_up(self) -> None:
        """Make the backup."""
        self.before = now()
        back_up(self.chaos.app._store.engine, self._file, Quiet())

    def restore(self, *, resumes: bool) -> Restored:
        """Put it back."""
        self.begun = now()
        restored = restore(self.chaos.app._store.engine, self._file, resumes=resumes, watcher=Quiet())
        self.after = now()
        return restored

    def history(self) -> list[Event]:
        """Return what happened until the backup began, and what happened after the restore had ended."""
        return [one for one in self.chaos.events() if not self.before <= one.at < self.after or one.kind is Kind.EFFECT]

    def findings(self, bounds: Bounds | None = None) -> Findings:
        """Check the history that counts against the store."""
        return check(self.history(), self.chaos.rows(), bounds)

    def late_starts(self, worker: int) -> list[Event]:
        """Return what a worker started of the new epoch: its claims are numbered from `LEAP` on."""
        return [
            one for one in self.chaos.events() if one.kind is Kind.START and one.worker == worker and one.claim > LEAP
        ]


@pytest.fixture
def rewound(chaos: Chaos) -> Rewound:
    """A store on each engine, to be backed up and restored."""
    return Rewound(chaos)


def end_of_epoch(worker: Process, *reasons: str) -> None:
    """Wait until a worker of the earlier epoch has ended, which it says in one line with one of the reasons."""
    worker.end()
    told = [line for line in worker.errors().splitlines() if any(one in line for one in reasons or (RESTORED,))]
    assert len(told) == 1, worker.errors()


def test_nothing_runs_again_unasked(chaos: Chaos, rewound: Rewound) -> None:
    """What ran or waited at the backup waits, paused, until a person resumes; then all of it is there once."""
    chaos.make_effects()
    old = chaos.worker("default:10,late:1", **DEAF)
    chaos.enqueue_many("plain", [f"done{number}" for number in range(20)])
    chaos.settle()
    chaos.enqueue("deaf", "running", "gate")
    old.expect("start running")
    chaos.app.queues.pause("late")
    chaos.enqueue_many("plain", [f"waiting{number}" for number in range(20)], queue="late")
    rewound.back_up()
    chaos.app.queues.resume("late")
    chaos.enqueue_many("plain", [f"undone{number}" for number in range(20)])
    eventually(lambda: chaos.unfinished() == ["running"])
    chaos.app.queues.pause("late")  # it was paused in the backup: a restore does not count it as its own doing

    restored = rewound.restore(resumes=False)
    assert (restored.paused, len(restored.interrupted)) == (["default"], 1)
    old.say("gate")
    end_of_epoch(old)

    heir = chaos.worker("default:10,late:1,probe:1")
    probe = chaos.enqueue("plain", "probe", queue="probe")
    assert probe.result(20) == "probe", "the new worker takes what it may"
    waiting = {"running", *(f"waiting{number}" for number in range(20))}
    assert {key for key, state in chaos.states().items() if state not in FINAL} == waiting
    assert not any(key.startswith("undone") or "/child" in key for key in chaos.states())

    for queue in ("default", "late"):
        chaos.app.queues.resume(queue)
    chaos.settle()
    found = rewound.findings()
    assert not found, f"\n{found}"
    assert rewound.late_starts(old.pid) == []
    assert {one.key for one in rewound.late_starts(heir.pid)} == waiting


@pytest.fixture
def stream(chaos: Chaos) -> Iterator[Callable[[], None]]:
    """A client that enqueues without pause from the moment of the call on; the returned function stops it."""
    stopped = threading.Event()
    client = threading.Thread(target=lambda: _enqueue(chaos, stopped))

    def stop() -> None:
        stopped.set()
        client.join()

    client.start()
    yield stop
    stop()


def _enqueue(chaos: Chaos, stopped: threading.Event) -> None:
    number = 0
    while not stopped.wait(0.001):
        task = ("plain", "failing", "transactional", "talking", "snoozing")[number % 5]
        chaos.enqueue(task, f"stream{number}")
        number += 1


@pytest.mark.chaos
def test_under_load(chaos: Chaos, rewound: Rewound, request: pytest.FixtureRequest) -> None:
    """Under full load, restored with its queues open: no earlier worker starts a job of the new epoch, all jobs end."""
    chaos.make_effects()
    old = [chaos.worker() for _ in range(2)]
    stop: Callable[[], None] = request.getfixturevalue("stream")
    eventually(lambda: len(chaos.states()) > 100)
    rewound.back_up()
    in_backup = len(chaos.states())
    eventually(lambda: len(chaos.states()) > in_backup + 100)
    rewound.restore(resumes=True)
    for worker in old:
        end_of_epoch(worker)
    chaos.worker()
    stop()
    chaos.settle()
    for worker in old:
        assert rewound.late_starts(worker.pid) == []
    states = chaos.states()
    assert set(states.values()) == {"completed"}
    acknowledged = {one.key for one in chaos.events() if one.kind is Kind.ACKNOWLEDGED}
    early = {one.key for one in chaos.events() if one.kind is Kind.ACKNOWLEDGED and one.at < rewound.before}
    fresh = {one.key for one in chaos.events() if one.kind is Kind.SENT and one.at >= rewound.after}
    assert (early | fresh) & acknowledged <= states.keys(), "what was acknowledged and not undone is there"
    assert fresh, "the client went on"
    assert examine(Patient(chaos.app._store.engine, chaos.app.settings), ailments(held_seconds=60)).is_well


def test_a_store_that_was_made_anew(
    postgres_url: str, tmp_path: Path, make_app: Callable[..., Lineshaft], start_process: StartProcess
) -> None:
    """A worker whose store was dropped and made anew says so, and leaves."""
    chaos = Chaos(postgres_url, tmp_path, make_app, start_process)
    old = chaos.worker()
    schema = chaos.effects.partition(".")[0]
    with chaos.app.transaction() as connection:
        connection.execute(f"drop schema {schema} cascade")
    make_app(postgres_url).migrate()
    end_of_epoch(old, MADE_ANEW)


def test_restored_where_the_store_was_lost(
    postgres_url: str, tmp_path: Path, make_app: Callable[..., Lineshaft], start_process: StartProcess
) -> None:
    """Where the schema was dropped before the restore, workers of the lost store are fenced all the same."""
    chaos = Chaos(postgres_url, tmp_path, make_app, start_process)
    rewound = Rewound(chaos)
    old = chaos.worker()
    chaos.enqueue("plain", "done").result(20)
    rewound.back_up()
    schema = chaos.effects.partition(".")[0]
    with chaos.app.transaction() as connection:
        connection.execute(f"drop schema {schema} cascade")
    rewound.restore(resumes=True)
    end_of_epoch(old, RESTORED, MADE_ANEW)  # the schema is made before the epoch begins: it may look in between
    chaos.worker()
    chaos.enqueue("plain", "after").result(20)
    assert chaos.states() == {"done": "completed", "after": "completed"}
    assert rewound.late_starts(old.pid) == []
