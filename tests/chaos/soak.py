"""A soak: many jobs under random faults, whose history is checked at the end.

    make chaos-soak MINUTES=30 JOBS=1000000 STORE=postgres SEED=7

Faults come from a generator with a seed: workers are killed, stopped and continued, told to end and started again; a
PostgreSQL server is restarted in order or crashes; on SQLite another writer holds the file. Then the faults stop, and
everything has to come to its end. Prints one line of JSON and, with `--record`, writes a row of docs/reliability.md.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import psutil
import psycopg

from lineshaft import Lineshaft
from lineshaft.errors import StoreUnavailableError
from tests.chaos.history import Bounds, Findings, Kind, Recorder, Row, check, read
from tools.temporary_postgres import TemporaryPostgres

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "reliability.md"
TASKS: Final = ("plain", "plain", "plain", "plain", "coroutine", "failing", "snoozing", "talking", "spawning")
SETTINGS: Final = {"heartbeat": "0.5s", "silence": "2s", "lease": "6s", "stop_patience": "2s"}
WORKERS: Final = 3
BATCH: Final = 200
BACKLOG: Final = 5_000
HEAL_SECONDS: Final = 180.0
PAUSE_SECONDS: Final = (0.5, 4.0)
CLOCK_ERROR: Final = 100_000
"""Microseconds: on PostgreSQL the time is the server's, as each process reads it through its round trips."""
MARK: Final = "<!-- soaks -->\n"


@dataclass
class Report:
    """What a soak did and found."""

    store: str
    seed: int
    jobs: int = 0
    minutes: float = 0.0
    faults: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    doubled: int = 0
    other_findings: int = 0
    recovery_seconds: float = 0.0
    memory_mib: tuple[float, float] = (0.0, 0.0)
    """Of all workers together: the median of the first and of the last third of the samples."""
    connections: tuple[int, int] = (0, 0)
    """Likewise, of the server; on SQLite open descriptors of the workers."""

    def row(self) -> str:
        """Return the report as a row of a table."""
        faults = ", ".join(f"{count} {name}" for name, count in sorted(self.faults.items()))
        memory, connections = ("{} → {}".format(*pair) for pair in (self.memory_mib, self.connections))
        cells = (
            self.store, self.jobs, self.minutes, self.seed, faults, self.lost, self.doubled, self.other_findings,
            self.recovery_seconds, memory, connections,
        )  # fmt: skip
        return "| " + " | ".join(str(one) for one in cells) + " |"


class Fleet:
    """Worker processes of the soak; faults act on them, and `heal` sets them right."""

    def __init__(self, url: str, folder: Path) -> None:
        settings = {**SETTINGS, "history": str(folder / "history"), "effects": ""}
        self._command = [sys.executable, str(ROOT / "tests/chaos/work.py"), url, "default:20", json.dumps(settings)]
        self._recorder = Recorder(folder / "history")
        self._log = (folder / "workers.log").open("w")
        self.processes = [self._start() for _ in range(WORKERS)]

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        return subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._log, env=environment
        )

    def kill(self, at: int) -> None:
        """Kill a worker, and start another in its place."""
        family = psutil.Process(self.processes[at].pid).children(recursive=True)
        self.processes[at].kill()
        self.processes[at].wait()
        for pid in (self.processes[at].pid, *(one.pid for one in family)):
            self._recorder.note(Kind.DIED, worker=pid)
        self.processes[at] = self._start()

    def pause(self, at: int, seconds: float) -> None:
        """Stop a worker for a while, perhaps beyond its lease."""
        self._recorder.note(Kind.PAUSED, worker=self.processes[at].pid)
        self.processes[at].send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.processes[at].send_signal(signal.SIGCONT)

    def restart(self, at: int) -> None:
        """Tell a worker to end in order, and start another in its place."""
        self.processes[at].terminate()
        self.processes[at].wait(60)
        self.processes[at] = self._start()

    def heal(self) -> None:
        """Start anew what has ended by itself: a worker that lost its lease does."""
        for at, process in enumerate(self.processes):
            if process.poll() is not None:
                self.processes[at] = self._start()

    def sample(self) -> tuple[float, int]:
        """Return the resident memory of all workers in MiB, and how many descriptors they hold."""
        memory, descriptors = 0.0, 0
        for process in self.processes:
            with suppress(psutil.NoSuchProcess):
                one = psutil.Process(process.pid)
                memory += one.memory_info().rss / (1 << 20)
                descriptors += one.num_fds()
        return memory, descriptors

    def close(self) -> None:
        """End all workers in order."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(60)
        self._log.close()


class Soak:
    """One soak on one store."""

    def __init__(self, store: str, folder: Path, seed: int, server: TemporaryPostgres | None) -> None:
        self._random = random.Random(seed)  # noqa: S311 - picks faults, guards nothing
        self._folder, self._server = folder, server
        self._url = server.url if server else f"sqlite:///{folder / 'jobs.db'}"
        self._app = Lineshaft(self._url, patience="60s")
        self._recorder = Recorder(folder / "history")
        self._samples: list[tuple[float, int]] = []
        self.report = Report(store, seed)

    def run(self, jobs: int, minutes: float) -> tuple[Report, Findings]:
        """Enqueue this many jobs over this time under faults, let everything end, and check the history."""
        self._app.jobs.count()
        fleet = Fleet(self._url, self._folder)
        begun = time.monotonic()
        with self._faults(fleet):
            self._enqueue(jobs, minutes * 60)
        healed = time.monotonic()
        self._await_end(fleet)
        self.report.recovery_seconds = round(time.monotonic() - healed, 1)
        self.report.minutes = round((time.monotonic() - begun) / 60, 1)
        fleet.close()
        findings = check(read(self._folder / "history"), list(self._rows()), Bounds(early=CLOCK_ERROR))
        self._sum_up(findings)
        self._app.close()
        return self.report, findings

    def _enqueue(self, jobs: int, seconds: float) -> None:
        """Spread the jobs evenly over the time; what an outage held up is caught up with, for as long again at most."""
        begun, number = time.monotonic(), 0
        while number < jobs and (elapsed := time.monotonic() - begun) < 2 * seconds:
            if number > jobs * elapsed / seconds:
                time.sleep(0.05)
                continue
            task, count = self._random.choice(TASKS), self._random.choice((1, 1, 10, BATCH))
            keys = [f"{task}{number + more}" for more in range(min(count, jobs - number))]
            for key in keys:
                self._recorder.note(Kind.SENT, key)
            with suppress(StoreUnavailableError):
                stored = self._app.enqueue_many([self._app._intake.by_name(f"work.{task}", [key], {}) for key in keys])
                for key, job in zip(keys, stored, strict=True):
                    self._recorder.note(Kind.ACKNOWLEDGED, key, job.id)
            number += len(keys)
            self._hold_back()
        self.report.jobs = number

    def _hold_back(self) -> None:
        """Keep the backlog short: what is tested is the workers under faults."""
        while True:
            with suppress(StoreUnavailableError):
                if self._app.jobs.count(state="queued") < BACKLOG:
                    return
            time.sleep(0.05)

    @contextmanager
    def _faults(self, fleet: Fleet) -> Iterator[None]:
        is_over = threading.Event()

        def harm() -> None:
            while not is_over.wait(self._random.uniform(*PAUSE_SECONDS)):
                name, fault = self._random.choice(self._menu(fleet))
                fault()
                self.report.faults[name] = self.report.faults.get(name, 0) + 1
                fleet.heal()
                self._sample(fleet)

        thread = threading.Thread(target=harm)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def _menu(self, fleet: Fleet) -> list[tuple[str, Callable[[], None]]]:
        at, away = self._random.randrange(WORKERS), self._random.choice((0.2, 1.0, 8.0))
        menu = [
            ("kills", lambda: fleet.kill(at)),
            ("pauses", lambda: fleet.pause(at, away)),
            ("restarts", lambda: fleet.restart(at)),
        ]
        server = self._server
        if server is not None:
            mode = self._random.choice(("fast", "immediate"))
            return [*menu, (f"server restarts ({mode})", lambda: server.restart(mode))]
        return [*menu, ("held files", lambda: self._hold_file(away / 4))]

    def _hold_file(self, seconds: float) -> None:
        with sqlite3.connect(self._folder / "jobs.db", isolation_level=None, timeout=30) as other:
            other.execute("begin immediate")
            time.sleep(seconds)
            other.execute("rollback")
        other.close()

    def _sample(self, fleet: Fleet) -> None:
        memory, descriptors = fleet.sample()
        if self._server is not None:
            with suppress(psycopg.OperationalError), psycopg.connect(self._server.url) as connection:
                found = connection.execute("select count(*) from pg_stat_activity where datname is not null").fetchone()
                descriptors = found[0] if found else 0
        self._samples.append((memory, descriptors))

    def _await_end(self, fleet: Fleet) -> None:
        deadline = time.monotonic() + HEAL_SECONDS
        waiting = ("queued", "scheduled", "running", "retrying", "cancelling")
        while any(self._app.jobs.count(state=one) for one in waiting) and time.monotonic() < deadline:
            fleet.heal()
            time.sleep(0.2)

    def _rows(self) -> Iterator[Row]:
        for job in self._app.jobs.iter():
            yield Row(job.id, job.args[0][0], job.state.value, job._row.claim, job._row.run_at)

    def _sum_up(self, findings: Findings) -> None:
        report = self.report
        report.lost, report.doubled = len(findings.lost), len(findings.doubled)
        report.other_findings = sum(len(getattr(findings, name)) for name in ("ghosts", "overlapping", "late"))
        third = max(1, len(self._samples) // 3)
        first, last = (sorted(part)[len(part) // 2] for part in (self._samples[:third], self._samples[-third:]))
        report.memory_mib = (round(first[0]), round(last[0]))
        connections = [
            sorted(one[1] for one in part)[len(part) // 2] for part in (self._samples[:third], self._samples[-third:])
        ]
        report.connections = (connections[0], connections[1])


def main() -> int:
    """Run a soak on each store that was asked for; exit code 1 when anything was lost or doubled."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description="Run jobs under random faults.")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--store", choices=("sqlite", "postgres"), action="append")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", action="store_true", help="write a row into docs/reliability.md")
    given = parser.parse_args()
    results = [_soak(store, given) for store in given.store or ("sqlite", "postgres")]
    return max(results)


def _soak(store: str, given: argparse.Namespace) -> int:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lineshaft-soak-")))
        server = stack.enter_context(TemporaryPostgres()) if store == "postgres" else None
        report, findings = Soak(store, folder, given.seed, server).run(given.jobs, given.minutes)
    print(json.dumps(asdict(report)), flush=True)  # noqa: T201 - its result
    if findings:
        print(findings, file=sys.stderr)  # noqa: T201 - likewise
    if given.record:
        PAGE.write_text(PAGE.read_text().replace(MARK, f"{report.row()}\n{MARK}"))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
