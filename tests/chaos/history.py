"""What happened to jobs, as all processes saw it, and whether that may have happened.

Processes write events to one file, each a line in one append, which outlives a SIGKILL. `check` is a pure function of
the events and of what the store holds at the end; it answers with what is wrong, in the manner of Jepsen's checkers.

A job is known by its key, a name that the client chose before it asked: where the answer to an enqueue was lost, the
client knows no id, and the job may exist or not.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from pathlib import Path
from typing import Final

import msgspec

FINAL: Final = frozenset({"completed", "dead", "cancelled", "skipped", "expired"})
NEVER: Final = 1 << 62


class Kind(StrEnum):
    """What happened."""

    SENT = "sent"  # a client is about to enqueue it
    ACKNOWLEDGED = "acknowledged"  # the enqueue returned
    REFUSED = "refused"  # the enqueue said for sure that nothing was stored
    START = "start"  # an attempt's first line
    END = "end"  # an attempt's last line, however it ended
    FINISH = "finish"  # the worker learnt that its write of the final state took effect
    EFFECT = "effect"  # what the job wrote in its own transaction is in the store
    DIED = "died"  # a process is gone; `worker` is its process id
    PAUSED = "paused"  # a process was away for longer than its lease: what it still runs may overlap


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the file; `at` is in microseconds since the epoch, `worker` a process id."""

    kind: Kind
    key: str = ""
    job: str = ""
    attempt: int = 0
    claim: int = 0
    worker: int = 0
    at: int = 0


class Row(msgspec.Struct, frozen=True):
    """A job as the store holds it at the end; `place` is (rank, run_at) of its queue."""

    job: str
    key: str
    state: str
    claim: int
    run_at: int
    place: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Bounds:
    """What is asked beyond safety; microseconds, None is not checked."""

    late: int | None = None
    """Between the moment at which a job could run and its first start."""
    early: int = 0
    """How long before its time a job may start: by so much two readings of the server's clock may differ."""
    disorder: int | None = None
    """How much later than a job behind it a job may start first."""
    is_finished: bool = True
    """Whether every job has to be in a final state: the faults are over and the store was given time."""


class Findings(msgspec.Struct, frozen=True):
    """What is wrong, a sentence each."""

    lost: list[str]
    doubled: list[str]
    ghosts: list[str]
    overlapping: list[str]
    disordered: list[str]
    late: list[str]

    def __bool__(self) -> bool:
        """Whether anything is wrong."""
        return any(getattr(self, name) for name in self.__struct_fields__)

    def __str__(self) -> str:
        """Say all of it, a line each."""
        return "\n".join(f"{name}: {one}" for name in self.__struct_fields__ for one in getattr(self, name))


class Recorder:
    """Appends events to a file that any number of processes share."""

    def __init__(self, path: Path | str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def note(
        self, kind: Kind, key: str = "", job: str = "", attempt: int = 0, claim: int = 0, worker: int | None = None
    ) -> None:
        """Append an event of now; `worker` is this process where none is named."""
        event = Event(kind, key, job, attempt, claim, os.getpid() if worker is None else worker, now())
        os.write(self._fd, msgspec.json.encode(event) + b"\n")  # one write: appends do not mix

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def now() -> int:
    """Return the clock that all processes of a machine share, in microseconds."""
    return time.time_ns() // 1_000


def read(path: Path | str) -> list[Event]:
    """Return the events of a file, in the order of their times."""
    decode = msgspec.json.Decoder(Event).decode
    return sorted((decode(line) for line in Path(path).read_bytes().splitlines()), key=lambda one: one.at)


def check(events: Sequence[Event], rows: Sequence[Row], bounds: Bounds | None = None) -> Findings:
    """Return everything in a history that may not have happened."""
    history = _History(events, rows, bounds or Bounds())
    return Findings(
        lost=list(history.lost()),
        doubled=list(history.doubled()),
        ghosts=list(history.ghosts()),
        overlapping=list(history.overlapping()),
        disordered=list(history.disordered()),
        late=list(history.late()),
    )


class _History:
    def __init__(self, events: Sequence[Event], rows: Sequence[Row], bounds: Bounds) -> None:
        self._bounds = bounds
        self._of: dict[Kind, list[Event]] = {kind: [] for kind in Kind}
        for one in events:
            self._of[one.kind].append(one)
        self._starts = _by_job(self._of[Kind.START])
        self._rows: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            self._rows[row.job].append(row)
        self._acknowledged = {one.key: one for one in self._of[Kind.ACKNOWLEDGED]}

    def lost(self) -> Iterator[str]:
        """Acknowledged jobs that are gone or never ended, and ends that nothing led to."""
        for one in self._of[Kind.ACKNOWLEDGED]:
            if one.job not in self._rows:
                yield f"{one.key} was acknowledged as {one.job} and is not in the store"
        for row in self._all_rows():
            if self._bounds.is_finished and row.state not in FINAL:
                yield f"{row.key} ({row.job}) is still {row.state}"
            if row.state == "completed" and not self._starts.get(row.job):
                yield f"{row.key} ({row.job}) is completed and never started"
        for job, finishes in _by_job(self._of[Kind.FINISH]).items():
            if self._bounds.is_finished and all(row.state not in FINAL for row in self._rows.get(job, [])):
                yield f"{finishes[0].key} ({job}) was finished and the store does not know it"

    def doubled(self) -> Iterator[str]:
        """Jobs that were stored, started or finished twice, and effects that are there twice."""
        for job, rows in self._rows.items():
            if len(rows) > 1:
                yield f"{rows[0].key} is {len(rows)} times in the store as {job}"
        yield from self._twice({(row.key, row.job) for row in self._all_rows()}, "is stored as several jobs")
        for kind, words in ((Kind.FINISH, "was finished by"), (Kind.EFFECT, "has effects of")):
            for job, found in _by_job(self._of[kind]).items():
                if len(found) > 1:
                    yield f"{found[0].key} ({job}) {words} claims {[one.claim for one in found]}"
        for job, starts in self._starts.items():
            yield from self._started_wrongly(job, starts)

    def _started_wrongly(self, job: str, starts: Sequence[Event]) -> Iterator[str]:
        claims = [one.claim for one in starts]
        for claim in sorted({one for one in claims if claims.count(one) > 1}):
            yield f"{starts[0].key} ({job}) was started {claims.count(claim)} times by claim {claim}"
        for row in self._rows.get(job, []):
            if row.state in FINAL and max(claims) > row.claim:
                yield f"{row.key} ({job}) was started by claim {max(claims)} and ended by claim {row.claim}"

    @staticmethod
    def _twice(pairs: Iterable[tuple[str, str]], words: str) -> Iterator[str]:
        jobs: dict[str, list[str]] = defaultdict(list)
        for key, job in pairs:
            jobs[key].append(job)
        for key, found in jobs.items():
            if len(found) > 1:
                yield f"{key} {words}: {sorted(found)}"

    def ghosts(self) -> Iterator[str]:
        """Jobs that are there or ran although nobody asked for them, or their enqueue was refused."""
        sent = {one.key for one in self._of[Kind.SENT]}
        refused = {one.key for one in self._of[Kind.REFUSED]}
        seen = {(one.key, one.job) for one in self._of[Kind.START]} | {(row.key, row.job) for row in self._all_rows()}
        for key, job in sorted(seen):
            acknowledged = self._acknowledged.get(key)
            if key in refused:
                yield f"{key} ({job}) exists although its enqueue was refused"
            elif acknowledged is not None and acknowledged.job != job:
                yield f"{key} ran or is stored as {job} and was acknowledged as {acknowledged.job}"
            elif acknowledged is None and key not in sent:
                yield f"{key} ({job}) exists although nobody enqueued it"

    def overlapping(self) -> Iterator[str]:
        """Attempts of one job that ran at the same time, but for those of processes that were away too long."""
        paused = {one.worker for one in self._of[Kind.PAUSED]}
        died = {one.worker: one.at for one in self._of[Kind.DIED]}
        ended = {(one.job, one.claim): one.at for one in self._of[Kind.END]}
        for starts in self._starts.values():
            spans = [
                (one, min(ended.get((one.job, one.claim), NEVER), died.get(one.worker, NEVER)))
                for one in starts
                if one.worker not in paused
            ]
            for (first, first_end), (second, second_end) in combinations(spans, 2):
                if first.claim != second.claim and first.at < second_end and second.at < first_end:
                    yield f"{first.key} ({first.job}): claims {first.claim} and {second.claim} ran at once"

    def disordered(self) -> Iterator[str]:
        """Jobs that started first long after one behind them, which was enqueued later."""
        if self._bounds.disorder is None:
            return
        firsts = sorted(
            ((row.place, row.job, self._starts[row.job][0].at, row.key) for row in self._all_rows()
             if row.job in self._starts),
        )  # fmt: skip
        known = {one.job: one.at for one in self._of[Kind.ACKNOWLEDGED]}
        earliest = (NEVER, "")
        for place, job, at, key in reversed(firsts):
            limit, behind = earliest
            if at - self._bounds.disorder > max(limit, known.get(job, NEVER)):
                yield f"{key} ({job}, place {place}) started {(at - limit) / 1e6:.3f} s after {behind} behind it"
            earliest = min(earliest, (at, key))

    def late(self) -> Iterator[str]:
        """Jobs that started before their time, or long after they could."""
        for row in self._all_rows():
            starts, acknowledged = self._starts.get(row.job), self._acknowledged.get(row.key)
            if not starts:
                continue
            first = starts[0]
            if first.at < row.run_at - self._bounds.early and len(starts) == 1:  # a retry has moved its time
                yield f"{row.key} ({row.job}) started {(row.run_at - first.at) / 1e6:.3f} s before its time"
            if self._bounds.late is None or acknowledged is None or len(starts) > 1:
                continue
            waited = first.at - max(row.run_at, acknowledged.at)
            if waited > self._bounds.late:
                yield f"{row.key} ({row.job}) started {waited / 1e6:.3f} s after it could"

    def _all_rows(self) -> Iterator[Row]:
        for rows in self._rows.values():
            yield from rows


def _by_job(events: Iterable[Event]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = defaultdict(list)
    for one in events:
        found[one.job].append(one)
    return found
