"""What limits a store and its workers now, and what to change: rules on the figures, each a small function.

The first rule that holds for a figure is its verdict. The thresholds are judgements, not laws: a figure just beside one
is limited by both sides of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from lineshaft.bench.figures import MILLI, Drain, Figures, Limits

Limit = Literal["commit", "network", "python", "task", "slots", "writer", "database", "machine"]

_BUSY_CORE: Final = 0.85
"""From here on, threads of one interpreter wait for each other rather than for anything else."""
_BUSY_SLOTS: Final = 0.75
_BUSY_MACHINE: Final = 0.95
_AT_THE_LIMIT: Final = 0.6
"""The share of the bare SQL's rate from which the store, not Lineshaft, sets the pace."""
_ROOM: Final = 1.5
"""How many times as much the one writer of SQLite has to take for a second process to be worth a try."""
_MOSTLY: Final = 0.5
_WORTH_IT: Final = 1.2
"""What more processes have to bring to be worth their memory."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What limits one of the figures."""

    about: str
    limit: Limit
    because: str
    change: str


def judge(figures: Figures) -> tuple[Finding, ...]:
    """Return what limits enqueue, pick-up, the drain of each task, and what more processes brought."""
    alone = [one for one in figures.drains if one.processes == 1]
    together = [one for one in figures.drains if one.processes > 1]
    found = [_enqueue(figures), _pick_up(figures), *(_drain(one, figures) for one in alone)]
    found += [_gain(one, before, figures) for before, one in zip(alone, together, strict=False)]
    return tuple(one for one in found if one is not None)


# --- enqueue and pick-up -------------------------------------------------------------------------------------------


def _enqueue(figures: Figures) -> Finding | None:
    limits = figures.limits
    if limits is None:
        return None
    each, share = figures.single_enqueue_latency, figures.single_enqueue.per_second / limits.commits.per_second
    gain = figures.bulk_enqueue.per_second / figures.single_enqueue.per_second
    bulk = f"enqueue_many, which stored {gain:,.0f} times as many a second"
    about = "single enqueue"
    if share < _AT_THE_LIMIT:
        because = f"{each.p50_ms:.2f} ms a job, of which a bare commit takes {limits.commit.p50_ms:.2f} ms"
        return Finding(about, "python", because, f"where jobs come many at a time: {bulk}")
    if _is_far(limits):
        because = (
            f"each job is a commit, and of its {limits.commit.p50_ms:.2f} ms {limits.round_trip_ms:.2f} ms are the way"
        )
        return Finding(about, "network", because, f"{bulk}; or enqueue from nearer to the database")
    because = f"each job is a durable commit of {limits.commit.p50_ms:.2f} ms ({limits.durability})"
    return Finding(about, "commit", because, bulk + _less_durable(limits))


def _pick_up(figures: Figures) -> Finding | None:
    """A pick-up is two commits, one after the other: the enqueue's and the claim's."""
    limits, p50 = figures.limits, figures.pick_up.p50_ms
    if limits is None:
        return None
    commits = 2 * limits.commit.p50_ms
    if commits < _MOSTLY * p50:
        because = f"of {p50:.2f} ms, the two commits take {commits:.2f} ms; the rest is waking up and handing over"
        return Finding("pick-up", "python", because, "a machine with less to do beside; nothing in the store")
    because = f"{commits:.2f} ms of {p50:.2f} ms are two commits, the enqueue's and the claim's"
    if _is_far(limits):
        return Finding("pick-up", "network", because, "bring workers nearer to the database")
    return Finding("pick-up", "commit", because, "a disk that syncs faster" + _less_durable(limits))


def _is_far(limits: Limits) -> bool:
    return limits.round_trip_ms >= _MOSTLY * limits.commit.p50_ms


def _less_durable(limits: Limits) -> str:
    """Name the setting that lets a commit wait for less, where there is one left."""
    match limits.durability:
        case "synchronous=FULL":
            return "; or ?synchronous=NORMAL, if a power cut may take the last jobs"
        case "synchronous_commit=on" | "synchronous_commit=remote_apply" | "synchronous_commit=remote_write":
            return "; or synchronous_commit=off for this role, if a server crash may take the last jobs"
        case _:
            return ""


# --- drain: the first rule that holds ------------------------------------------------------------------------------


def _drain(drain: Drain, figures: Figures) -> Finding:
    held = (rule(drain, figures) for rule in _RULES)
    return next((one for one in held if one is not None), _waits(drain, figures))


def _computes(drain: Drain, _: Figures) -> Finding | None:
    """One interpreter runs one thread at a time, and most of that time is the task's own."""
    busy = _busy_slots(drain)
    if not _is_core_busy(drain) or busy < _MOSTLY * drain.cores:
        return None
    because = f"a job computes for {drain.run_ms:.1f} ms, and its worker's interpreter is busy with that"
    return _about(drain, "task", because, 'runs_in="process" for this task, or --processes: one for each core')


def _interpreter(drain: Drain, figures: Figures) -> Finding | None:
    if not _is_core_busy(drain):
        return None
    each = drain.cores / drain.rate.per_second * MILLI * MILLI
    because = (
        f"one interpreter runs all of it ({drain.cores:.2f} cores): {each:,.0f} µs a job, the task's code included"
    )
    return _about(drain, "python", because, _more_processes(drain, figures))


def _more_processes(drain: Drain, figures: Figures) -> str:
    more = f"--processes {drain.processes + 1}, as long as there are cores"
    if figures.engine == "postgres" or figures.limits is None:
        return more
    room = figures.limits.drain.per_second / drain.rate.per_second
    if room < _ROOM:
        return "PostgreSQL: more processes would share SQLite's one writer, which has little room left"
    return (
        f"--processes {drain.processes + 1}, as long as there are cores: the one writer takes {room:.1f} times as much"
    )


def _slots(drain: Drain, _: Figures) -> Finding | None:
    places = drain.slots * drain.processes
    if _busy_slots(drain) < _BUSY_SLOTS * places:
        return None
    because = f"each job runs {drain.run_ms:.1f} ms and all {places} slots are taken, at {drain.cores:.2f} cores"
    return _about(
        drain,
        "slots",
        because,
        "more slots, such as --queues NAME:50 (try it with bench --slots 50): the jobs wait, they do not compute",
    )


def _store(drain: Drain, figures: Figures) -> Finding | None:
    limits = figures.limits
    if limits is None or _is_far(limits) or drain.rate.per_second < _AT_THE_LIMIT * limits.drain.per_second:
        return None
    share = drain.rate.per_second / limits.drain.per_second
    because = f"{share:.0%} of what bare SQL does here on one connection"
    if figures.engine == "sqlite":
        return _about(drain, "writer", because, "PostgreSQL, where several workers write at once")
    return _about(drain, "database", because, "--processes, which write side by side; then more cores for the database")


def _machine(drain: Drain, _: Figures) -> Finding | None:
    if drain.machine < _BUSY_MACHINE:
        return None
    because = f"{drain.machine:.0%} of the machine is busy, the worker takes {drain.cores:.2f} cores of it"
    return _about(drain, "machine", because, "more cores, or the database on a machine of its own")


def _waits(drain: Drain, figures: Figures) -> Finding:
    """Neither Python nor slots nor cores are used up, so the worker waits for answers of the store."""
    limits = figures.limits
    because = f"the worker waits for the store: it takes {drain.cores:.2f} cores"
    change = "more slots (--queues NAME:50), for larger batches a commit, or --processes"
    if limits is None:
        return _about(drain, "database", because, change)
    if _is_far(limits):
        because += f", and each answer is {limits.round_trip_ms:.2f} ms away"
        return _about(drain, "network", because, f"{change}; or workers nearer to the database")
    because += f", and a commit takes {limits.commit.p50_ms:.2f} ms ({limits.durability})"
    return _about(drain, "commit", because, change + _less_durable(limits))


_RULES: Final[tuple[Callable[[Drain, Figures], Finding | None], ...]] = (
    _computes,
    _interpreter,
    _slots,
    _store,
    _machine,
)


def _gain(drain: Drain, alone: Drain, figures: Figures) -> Finding:
    gain = drain.rate.per_second / alone.rate.per_second
    because = f"{drain.processes} worker processes run {gain:.2f} times as many jobs as one"
    about = f"drain, {drain.what}, {drain.processes} processes"
    if gain >= _WORTH_IT:
        return Finding(about, _drain(drain, figures).limit, because, "keep them, and try one more")
    if figures.engine == "sqlite" and not _busy_slots(drain) >= _BUSY_SLOTS * drain.slots * drain.processes:
        return Finding(about, "writer", because, "one process: SQLite has one writer; or PostgreSQL")
    if drain.machine >= _BUSY_MACHINE:
        return Finding(about, "machine", f"{because}: no core is left", "one process, or more cores")
    return Finding(about, "database", because, "one process: the database sets the pace")


def _about(drain: Drain, limit: Limit, because: str, change: str) -> Finding:
    return Finding(f"drain, {drain.what}", limit, because, change)


def _busy_slots(drain: Drain) -> float:
    """Return how many slots were taken by running jobs, on average."""
    return drain.rate.per_second * drain.run_ms / MILLI


def _is_core_busy(drain: Drain) -> bool:
    return drain.lane != "process" and drain.cores >= _BUSY_CORE * drain.processes
