"""What becomes of a schedule when the leader looks at it: decided here from what was read, written elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from lineshaft.clock import MINUTE, SECOND
from lineshaft.features.schedules.definition import Definition
from lineshaft.features.schedules.due import MOST_COUNTED, NOTHING, Due
from lineshaft.features.schedules.overdue import judge
from lineshaft.features.schedules.records import BY_CLOCK, Move, OpenTick, ScheduleRow, TickRow, TickState
from lineshaft.options.schedule import Overlap

MOST_WAITING: Final = 1_000
"""How many ticks of one schedule wait for their turn; more are skipped."""
LOOK_AGAIN: Final = MINUTE
"""How often a schedule with open ticks is looked at, in case the end of their jobs was shown to nobody."""
_CANCEL_AGAIN: Final = SECOND


class Decision(NamedTuple):
    """What is written of a schedule."""

    move: Move
    new: tuple[TickRow, ...]
    """Ticks to be stored; those that are `OPEN` and `ENQUEUED` still lack their jobs."""
    changed: tuple[TickRow, ...]
    """Ticks that were stored before, as they become; those whose turn has come lack their jobs."""
    to_cancel: tuple[str, ...]
    """Jobs that are in the way of a later tick."""
    change: Literal["overdue", "recovered"] | None
    """What the dead man's switch tells."""
    has_ticked: bool


def decide(row: ScheduleRow, definition: Definition, due: Due, open_ticks: Sequence[OpenTick], now: int) -> Decision:
    """Return what becomes of a schedule: `due` is what `due_ticks` says, `open_ticks` are those not settled, in order.

    A tick whose job is no more among the unfinished ones is settled, whoever saw it end: nothing is counted that a
    crash could leave wrong. Ticks during a pause are no ticks.
    """
    is_apart = not (open_ticks or definition.follows_jobs or row.paused_at or row.removed_at or row.overdue_at)
    if is_apart and due.missed is None and definition.action == "enqueue":
        return decide_apart(row, due, now)
    return decide_by_jobs(row, definition, due, open_ticks, now)


def decide_apart(row: ScheduleRow, due: Due, now: int) -> Decision:
    """Return what `decide_by_jobs` would of a schedule that heeds none of its jobs: ten thousand may be due at once."""
    new = tuple([TickRow(row.name, at, BY_CLOCK, TickState.ENQUEUED, None, now) for at in due.ticks])
    last_at = due.ticks[-1] if due.ticks else row.last_at
    return Decision(Move(row.name, due.next_at, due.next_at, last_at, row.last_job, None), new, (), (), None, bool(new))


def decide_by_jobs(
    row: ScheduleRow, definition: Definition, due: Due, open_ticks: Sequence[OpenTick], now: int
) -> Decision:
    """Return what becomes of a schedule, by what has become of its jobs."""
    running = [tick for tick, is_unfinished in open_ticks if tick.state == TickState.OPEN and is_unfinished]
    ended = [tick for tick, is_unfinished in open_ticks if tick.state == TickState.OPEN and not is_unfinished]
    waiting = [tick for tick, _ in open_ticks if tick.state == TickState.WAITING]
    is_active = row.removed_at is None and row.paused_at is None
    if not is_active or (running and definition.recurrence.is_after_finish):
        due = NOTHING
    known = {tick.at for tick, _ in open_ticks if tick.run == BY_CLOCK}
    new = [tick for tick in _new_ticks(row, definition, due, now) if tick.at not in known]
    turned = {tick.at: tick for tick in _turns(row, definition, running, waiting, new)}
    unsettled = [*running, *(tick for tick in _as_turned((*waiting, *new), turned) if tick.state < TickState.ENQUEUED)]
    is_obstructed = is_active and definition.overlap == "cancel_running" and len(unsettled) > len(running) > 0
    verdict = judge(definition, row, now)
    next_at = _next_at(row, definition, due, is_busy=bool(unsettled), now=now) if is_active else None
    look_at = now + (_CANCEL_AGAIN if is_obstructed else LOOK_AGAIN) if unsettled else None
    return Decision(
        Move(
            row.name,
            next_at,
            min((at for at in (next_at, look_at, verdict.look_at) if at is not None), default=None),
            _last_at(row, due),
            row.last_job,
            verdict.overdue_at,
        ),
        (*_as_turned(new, turned), *_missed_tick(row, definition, due, now)),
        (
            *(tick.become(TickState.ENQUEUED) for tick in ended),
            *(turned[tick.at] for tick in waiting if tick.at in turned),
        ),
        tuple(tick.job for tick in running if tick.job is not None) if is_obstructed else (),
        verdict.change,
        bool(due.ticks or due.missed),
    )


def _new_ticks(row: ScheduleRow, definition: Definition, due: Due, now: int) -> list[TickRow]:
    if definition.action != "enqueue":
        return []
    return [TickRow(row.name, at, BY_CLOCK, TickState.WAITING, None, now) for at in due.ticks]


def _turns(
    row: ScheduleRow,
    definition: Definition,
    running: Sequence[TickRow],
    waiting: Sequence[TickRow],
    new: Sequence[TickRow],
) -> Iterator[TickRow]:
    """Yield the ticks that do not (or no longer) wait for their turn, as they become."""
    if row.removed_at is not None:
        yield from (_skipped(tick, "the schedule was removed") for tick in waiting)
    elif row.paused_at is None:
        state = TickState.OPEN if definition.follows_jobs else TickState.ENQUEUED
        yield from _by_overlap(definition.overlap, state, running, waiting, new)


def _by_overlap(
    overlap: Overlap,
    state: TickState,
    running: Sequence[TickRow],
    waiting: Sequence[TickRow],
    new: Sequence[TickRow],
) -> Iterator[TickRow]:
    line, fresh = [*waiting, *new], {tick.at for tick in new}
    if overlap == "allow":
        yield from (tick.become(state) for tick in line)
        return
    if overlap == "cancel_running":
        yield from (_skipped(tick, "a later tick came before its turn") for tick in line[:-1])
        line = line[-1:]
    if line and not running:
        yield line.pop(0).become(state)
    if overlap == "skip":
        note = f"job {running[0].job} was unfinished" if running else "the tick before it came at the same time"
        yield from (_skipped(tick, note) for tick in line if tick.at in fresh)
    elif overlap == "queue":
        yield from (
            _skipped(tick, f"{MOST_WAITING} ticks were waiting") for tick in line[MOST_WAITING:] if tick.at in fresh
        )


def _as_turned(ticks: Sequence[TickRow], turned: Mapping[int, TickRow]) -> Iterator[TickRow]:
    return (turned.get(tick.at, tick) for tick in ticks)


def _skipped(tick: TickRow, note: str) -> TickRow:
    return tick.become(TickState.SKIPPED, note=note)


def _missed_tick(row: ScheduleRow, definition: Definition, due: Due, now: int) -> Iterator[TickRow]:
    if due.missed is not None and definition.action == "enqueue":
        at, number = due.missed
        many = f"more than {MOST_COUNTED}" if number > MOST_COUNTED else str(number)
        yield TickRow(row.name, at, BY_CLOCK, TickState.MISSED, None, now, f"missed, the last of {many}")


def _next_at(row: ScheduleRow, definition: Definition, due: Due, *, is_busy: bool, now: int) -> int | None:
    recurrence = definition.recurrence
    if not recurrence.is_after_finish or due.next_at is not None:
        return due.next_at
    # The end of a job made the schedule due: that is when the time until the next one begins.
    return None if is_busy else recurrence.after(now if row.due_at is None else min(row.due_at, now))


def _last_at(row: ScheduleRow, due: Due) -> int | None:
    latest = [*due.ticks[-1:], *((due.missed.last_at,) if due.missed else ())]
    return max(latest, default=row.last_at)
