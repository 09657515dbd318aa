"""A store under chaos: its client, its worker processes, and the history that all of them write."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from lineshaft import Lineshaft
from lineshaft.errors import QueueFull, StoreUnavailableError
from tests.chaos.history import FINAL, Bounds, Event, Findings, Kind, Recorder, Row, check, read
from tests.plugins.apps import QUICK, Process, StartProcess, eventually

FOLDER: Final = Path(__file__).parent
_NO_END: Final = -signal.SIGKILL


class Chaos:
    """One store with its history."""

    def __init__(self, url: str, folder: Path, make_app: Callable[..., Lineshaft], start: StartProcess) -> None:
        self.url, self.folder = url, folder
        self.history, self.points = folder / "history", folder / "points"
        self.points.touch()
        self.recorder = Recorder(self.history)
        self.app = make_app(url)
        schema = url.rpartition("schema=")[2] if "schema=" in url else "lineshaft"
        self.effects = f"{schema}.chaos_effect" if url.startswith("postgres") else "chaos_effect"
        self.environment: dict[str, str] = {}
        """What workers that are started from now on find in their environment, beside this process's."""
        self._start = start

    def make_effects(self) -> None:
        """Create the table that transactional jobs write to."""
        self.app.jobs.count()  # the store is there from now on
        with self.app.transaction() as connection:
            connection.execute(f"create table {self.effects} (job text, name text, claim integer)")

    def enqueue(self, task: str, key: str, *args: Any, app: Lineshaft | None = None, **options: Any) -> Any:
        """Enqueue a job as the history wants it; None when its answer was lost."""
        client = app or self.app
        self.recorder.note(Kind.SENT, key)
        try:
            job = client.enqueue_new(_named(client, f"work.{task}", key, *args, **options))
        except QueueFull:
            self.recorder.note(Kind.REFUSED, key)
            raise
        except StoreUnavailableError:
            return None
        self.recorder.note(Kind.ACKNOWLEDGED, key, job.id)
        return job

    def enqueue_many(self, task: str, keys: list[str], **options: Any) -> None:
        """Enqueue many jobs in one call."""
        for key in keys:
            self.recorder.note(Kind.SENT, key)
        jobs = self.app.enqueue_many([_named(self.app, f"work.{task}", key, **options) for key in keys])
        for key, job in zip(keys, jobs, strict=True):
            self.recorder.note(Kind.ACKNOWLEDGED, key, job.id)

    def worker(self, queues: str = "default:10", *, url: str | None = None, **settings: Any) -> Process:
        """Start a worker process and wait until it is up."""
        process = self.start_worker(queues, url=url, **settings)
        process.expect("ready")
        return process

    def start_worker(self, queues: str = "default:10", *, url: str | None = None, **settings: Any) -> Process:
        """Start a worker process, which may die before it is up."""
        said = {**QUICK, "history": str(self.history), "effects": self.effects, **settings}
        return self._start(FOLDER / "work.py", url or self.url, queues, json.dumps(said), **self.environment)

    def kill(self, process: Process) -> None:
        """Kill a worker and note its death."""
        process.kill()
        self.recorder.note(Kind.DIED, worker=process.pid)

    def rows(self) -> list[Row]:
        """Return every job as the store holds it."""
        return [
            Row(row.id, one.args[0][0], one.state.value, row.claim, row.run_at, (row.rank, row.run_at))
            for one in self.app.jobs.iter()
            for row in (one._row,)
        ]  # fmt: skip

    def unfinished(self) -> list[str]:
        """Return the keys of the jobs that are not final yet."""
        return [one.key for one in self.rows() if one.state not in FINAL]

    def settle(self, limit: float = 20.0) -> None:
        """Wait until every stored job is final."""
        eventually(lambda: not self.unfinished(), limit)

    def events(self) -> list[Event]:
        """Return the history, with the effects that are in the store."""
        return [*read(self.history), *self._effects()]

    def findings(self, bounds: Bounds | None = None) -> Findings:
        """Check the history against the store."""
        return check(self.events(), self.rows(), bounds)

    def assert_in_order(self, bounds: Bounds | None = None) -> None:
        """Fail the test when anything happened that may not happen."""
        found = self.findings(bounds)
        assert not found, f"\n{found}"

    def states(self) -> dict[str, str]:
        """Return the state of each job by its key."""
        return {row.key: row.state for row in self.rows()}

    def passed_points(self) -> list[str]:
        """Return the effect points that workers have passed, in the order of their first passing."""
        return list(dict.fromkeys(self.points.read_text().splitlines()))

    def _effects(self) -> list[Event]:
        try:
            with self.app.transaction() as connection:
                found = connection.execute(f"select job, name, claim from {self.effects}").fetchall()
        except Exception as error:
            if "chaos_effect" not in str(error):
                raise
            return []
        return [Event(Kind.EFFECT, name, job, claim=claim) for job, name, claim in found]


def _named(client: Lineshaft, name: str, *args: Any, **options: Any) -> Any:
    new = client._intake.by_name(name, list(args), {})
    return replace(new, options=new.options.but(**options))


@pytest.fixture
def chaos(durable_url: str, tmp_path: Path, make_app: Callable[..., Lineshaft], start_process: StartProcess) -> Chaos:
    """A store on each engine that several processes can share, with its history."""
    return Chaos(durable_url, tmp_path, make_app, start_process)


def at_each(points: Mapping[str, Sequence[str]]) -> pytest.MarkDecorator:
    """Run a test of `chaos` at each effect point of each engine."""
    cases = [(engine, point) for engine, listed in points.items() for point in listed]
    return pytest.mark.parametrize("durable_url, point", cases, indirect=["durable_url"])
