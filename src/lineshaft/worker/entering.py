"""Many jobs at once enter the lines of their gates, so that no claim has to meet and park them one by one.

It spares work, no more: jobs that are stored without it are judged by the worker that claims them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from lineshaft.engines.base import Tx
from lineshaft.errors import ConfigError
from lineshaft.feature import Feature, Incoming
from lineshaft.gates import NOWHERE, GatedJob, Pass
from lineshaft.store.gates import Move, lock_and_read, write_step
from lineshaft.transitions import Stage
from lineshaft.worker.asking import passes_by
from lineshaft.worker.verdict import Seat, seat

_NOBODY: Final = 0

Asking = tuple[Incoming, tuple[Pass, ...]]
"""A new job, and the gates that it has to pass."""


class Entered(NamedTuple):
    """What has to be written once the jobs are stored."""

    moves: tuple[Move, ...] = ()
    releases: Mapping[str, int] = MappingProxyType({})

    def write(self, tx: Tx) -> None:
        """Begin the lines and let their heads out; behind the insert, in the same transaction."""
        if self.moves:
            write_step(tx, worker=_NOBODY, releases=self.releases, moves=self.moves)


def enter_lines(tx: Tx, incoming: Sequence[Incoming], features: Sequence[Feature], now: int) -> Entered:
    """Have those of the jobs be parked that their gates have no room for (`Incoming.placed.gate`).

    Locks all gates of the jobs until the transaction ends: it must be our own, and do no more than store them. A gate
    that has a line lets nobody in. Jobs that come later, and those that all of their gates have room for, are left as
    they are: ready.
    """
    asking = _asking(incoming, [one for one in features if one.kinds])
    concerns = {one.key: one for _, passes in asking for one in passes}
    if not concerns:
        return Entered()
    gates = lock_and_read(tx, {one.key: one.rule for one in concerns.values()})
    seats = seat(concerns.values(), gates, {kind.name: kind for one in features for kind in one.kinds}, now)
    free = _park(asking, {key: _room(one) for key, one in seats.items()})
    lines = {job.placed.gate: None for job, _ in asking if job.placed is not None and job.placed.gate is not None}
    releases = Counter(_stand_first(job, passes, lines) for job, passes in free)
    moves = (Move(key, seats[key].judge.tat, seats[key].judge.state, _look_at(seats[key], now)) for key in lines)
    return Entered(tuple(moves), {key: count for key, count in releases.items() if key is not None})


def _park(asking: Sequence[Asking], room: dict[str, int]) -> list[Asking]:
    """Park the jobs for which there is no room, each in front of the first gate that has none; returns the others."""
    free: list[Asking] = []
    for job, passes in asking:
        full = next((one.key for one in passes if room[one.key] <= 0), None)
        if full is None:
            free.append((job, passes))
            for one in passes:
                room[one.key] -= 1
        else:
            job.placed = (job.placed or NOWHERE)._replace(gate=full)
    return free


def _stand_first(job: Incoming, passes: Sequence[Pass], lines: Collection[str]) -> str | None:
    """Have a job that may start be the head of a line that begins behind it, so that it comes before that."""
    line = next((one.key for one in passes if one.key in lines), None)
    if line is not None:
        job.placed = (job.placed or NOWHERE)._replace(gate=line)
    return line


def _asking(incoming: Sequence[Incoming], features: Sequence[Feature]) -> list[Asking]:
    """Return the new jobs that are to run now and have gates to pass, in the order in which they would be claimed."""
    asking: list[Asking] = []
    for one in incoming:
        if one.placed is not None and one.placed.gate is not None:  # by a transaction that was rolled back
            one.placed = one.placed._replace(gate=None)
        if one.existing_id is None and one.row["stage"] == Stage.READY and (passes := _passes(one, features)):
            asking.append((one, passes))
    return sorted(asking, key=lambda found: _place(found[0]))


def _passes(one: Incoming, features: Sequence[Feature]) -> tuple[Pass, ...]:
    row = one.row
    try:
        return passes_by(features, one.options, GatedJob(row["name"], row["args"], row["tenant"], row["queue"])) or ()
    except (ConfigError, KeyError):  # whoever claims it says what is wrong, or knows the task
        return ()


def _place(one: Incoming) -> tuple[int, int, str]:
    turn = one.placed.turn if one.placed is not None else None
    return one.row["rank"], one.row["run_at"] if turn is None else turn, one.row["id"]


def _room(one: Seat) -> int:
    """Return how many may come in: none where others wait, or where somebody is before them in a strict order."""
    if one.gate.wake_at is not None or (one.kind == "order" and one.gate.first is not None):
        return 0
    return one.judge.to_release()


def _look_at(one: Seat, now: int) -> int:
    """Return when to look at a line: as planned, if it was there before."""
    return one.gate.wake_at or max(one.judge.look_at(), now + 1)
