"""A whole run: every subject in every round, one after the other, then the idle and killed workers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.harness.bench import StepError, opened, wait_until
from benchmarks.harness.crash import WAIT_SECONDS, Crash, begin_crash, measure_idle
from benchmarks.harness.environments import SetUpError
from benchmarks.harness.limits import LIMITS, Limit, measure_limit
from benchmarks.harness.machine import describe
from benchmarks.harness.peers import Subject
from benchmarks.harness.progress import Progress
from benchmarks.harness.results import Figures, Run, SubjectResult
from benchmarks.harness.servers import Servers
from benchmarks.harness.steps import MILLION, Sizes, Steps

LIMIT_SECONDS: Final = 1.5
MOST_CRASHES: Final = 6
"""Crashes watched at the same time: their workers mostly wait, so they hardly disturb each other."""
DEEP: Final = frozenset({"lineshaft-sqlite-threads", "lineshaft-postgres-threads", "pgqueuer"})
"""Who also runs the first 20 s out of 1,000,000 waiting jobs."""
CRASH_SECONDS: Final = 20
"""What the idle and the killed worker of one subject take; the rounds leave that much time."""


_SIZES: Final = Sizes()


@dataclass(frozen=True, slots=True)
class Scope:
    """How much is done."""

    repetitions: int = 3
    minutes: float = 58.0
    sizes: Sizes = _SIZES


class Campaign:
    """One run over some subjects."""

    def __init__(
        self, subjects: Sequence[Subject], scope: Scope, servers: Servers, root: Path, keep: Callable[[Run], None]
    ) -> None:
        self._subjects = subjects
        self._scope = scope
        self._servers = servers
        self._root = root
        self._keep = keep
        self._at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        self._progress = Progress()
        self._results = {one.name: _new_result(one) for one in subjects}
        self._limits = {limit.name: limit.new_result() for limit in LIMITS}
        self._absent: set[str] = set()
        """Peers that cannot be set up; they are not tried again."""

    def execute(self) -> Run:
        """Measure everything and return it; what there is by then is kept after each round, should the run end."""
        self._set_up()
        for number in range(self._scope.repetitions):
            self._execute_round(number)
            self._keep(self._run())
        self._watch_idle_and_killed()
        return self._run()

    def _run(self) -> Run:
        return Run(
            at=self._at,
            machine=describe(),
            settings=self._settings(),
            subjects=[*self._results.values(), *self._limits.values()],
            minutes=round(self._progress.seconds / 60, 1),
        )

    def _set_up(self) -> None:
        """Make every environment and server before the first measurement, and learn the versions."""
        for subject in self._subjects:
            if not subject.is_first:
                continue
            self._say(subject, "setting up")
            with self._reporting(subject, "set-up"), opened(subject, self._servers, self._root) as bench:
                said = bench.client.ask("versions", packages=list(subject.peer.packages))
                self._results[subject.name].versions = said["versions"]

    def _execute_round(self, number: int) -> None:
        for limit in LIMITS:
            self._progress.say(f"round {number + 1}: {limit.label}")
            self._measure_limit(limit)
        shift = number * len(self._subjects) // self._scope.repetitions  # nobody is always first
        for subject in [*self._subjects[shift:], *self._subjects[:shift]]:
            self._repeat(subject, f"round {number + 1}: ")

    def _measure_limit(self, limit: Limit) -> None:
        try:
            found = measure_limit(limit, self._servers, self._root, LIMIT_SECONDS)
        except (SetUpError, StepError) as error:
            _add(self._limits[limit.name].problems, str(error))
        else:
            self._limits[limit.name].repetitions.append(found)

    def _repeat(self, subject: Subject, prefix: str) -> None:
        if subject.peer.name in self._absent or self._is_late(subject, CRASH_SECONDS * len(self._subjects)):
            return
        found: Figures = {}
        with self._reporting(subject, "set-up"), opened(subject, self._servers, self._root) as bench:
            steps = Steps(bench, self._scope.sizes, lambda text: self._say(subject, prefix + text))
            for step in _steps(subject, steps):
                with self._reporting(subject):
                    found |= step()
        if found:
            self._results[subject.name].repetitions.append(found)

    def _watch_idle_and_killed(self) -> None:
        watched: list[_Watched] = []
        with ExitStack() as stack:
            for subject in self._subjects:
                if subject.peer.name in self._absent or self._is_late(subject):
                    continue
                if len(watched) >= MOST_CRASHES:
                    self._finish_crash(watched.pop(0))
                own = stack.enter_context(ExitStack())
                with self._reporting(subject):
                    watched.append(self._begin_crash(subject, own))
            for one in watched:
                self._finish_crash(one)

    def _begin_crash(self, subject: Subject, own: ExitStack) -> _Watched:
        bench = own.enter_context(opened(subject, self._servers, self._root))
        with self._reporting(subject):
            self._say(subject, "idle worker")
            self._record_once(subject, measure_idle(bench))
        self._say(subject, "killed worker")
        return _Watched(subject, begin_crash(bench), own)

    def _finish_crash(self, watched: _Watched) -> None:
        self._say(watched.subject, "waiting for the killed worker's jobs")
        wait_until(lambda: watched.crash.is_over, WAIT_SECONDS, 0.5)
        self._record_once(watched.subject, watched.crash.finish())
        watched.own.close()

    def _record_once(self, subject: Subject, found: Figures) -> None:
        result = self._results[subject.name]
        if not result.repetitions:
            result.repetitions.append({})
        result.repetitions[0] |= found

    def _is_late(self, subject: Subject, reserve_seconds: float = 0.0) -> bool:
        is_late = self._progress.seconds > self._scope.minutes * 60 - reserve_seconds
        if is_late:
            msg = f"not measured to the end: the run's {self._scope.minutes:g} minutes were over"
            _add(self._results[subject.name].problems, msg)
        return is_late

    def _reporting(self, subject: Subject, stage: str = "") -> _Reporting:
        def on_error(error: Exception) -> None:
            if isinstance(error, SetUpError) or stage == "set-up":
                self._absent.add(subject.peer.name)
            text = f"not set up: {error}" if isinstance(error, SetUpError) else str(error)
            _add(self._results[subject.name].problems, text)
            self._say(subject, text)

        return _Reporting(on_error)

    def _say(self, subject: Subject, text: str) -> None:
        self._progress.say(f"{subject.label}: {text}")

    def _settings(self) -> dict[str, str]:
        sizes = self._scope.sizes
        return {
            "repetitions": str(self._scope.repetitions),
            "jobs of a drain": f"{sizes.jobs:,} or what is reached in {sizes.drain_seconds:g} s; "
            f"{sizes.many_jobs:,} for those that drain over 3,000 a second",
            "durability": "SQLite WAL, synchronous=NORMAL; PostgreSQL fsync and synchronous_commit on; "
            "Redis keeps nothing on disk",
        }


class _Watched(NamedTuple):
    subject: Subject
    crash: Crash
    own: ExitStack
    """Closes the crash's bench."""


class _Reporting:
    """A block whose set-up and step errors are reported and do not end the run."""

    def __init__(self, on_error: Callable[[Exception], None]) -> None:
        self._on_error = on_error

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> bool:
        if isinstance(error, SetUpError | StepError | OSError):
            self._on_error(error)
            return True
        return False


def _steps(subject: Subject, steps: Steps) -> Iterator[Callable[[], Figures]]:
    yield steps.warm_up_and_pick_up
    if subject.is_first:  # the client's side is the same for every variant
        yield steps.enqueue_singly
    yield steps.enqueue_in_bulk
    yield lambda: steps.drain(1, "drain_one")
    yield lambda: steps.drain(2, "drain_two")
    if subject.name in DEEP:
        yield lambda: steps.drain(1, "drain_million", MILLION)


def _new_result(subject: Subject) -> SubjectResult:
    peer = subject.peer
    return SubjectResult(
        subject.name,
        subject.label,
        "lineshaft" if peer.is_ours else "peer",
        peer.store,
        peer=peer.name,
        variant=subject.variant,
        settings=peer.settings,
        keeps_result=peer.keeps_result,
        has_bulk=peer.has_bulk,
    )


def _add(problems: list[str], text: str) -> None:
    if text not in problems:
        problems.append(text)
