"""A dead man's switch that has gone off, whether or not there is a leader to say so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote
from typing import Any, ClassVar, Final, NamedTuple

from lineshaft.clock import SECOND, to_datetime
from lineshaft.doctor.ailment import Ailment, Finding, Patient, Remedy, Unseen
from lineshaft.doctor.crew import live_workers
from lineshaft.doctor.wording import span
from lineshaft.engines.base import Tx
from lineshaft.features.schedules.overdue import LastTick, Late, find_late, last_tick
from lineshaft.features.schedules.records import TickState
from lineshaft.job import JobRow
from lineshaft.store.inspect import get_job
from lineshaft.transitions import State, state_of

_SHOWN: Final = 20
_CAUSE: Final = "By now a job should have completed, and none has: whatever depends on it works with what is old."


class _Case(NamedTuple):
    """An overdue schedule with what became of its latest tick."""

    late: Late
    tick: LastTick | None
    job: JobRow | None

    @property
    def job_state(self) -> State | None:
        """What the job is doing, None when there is none."""
        row = self.job
        if row is None:
            return None
        return state_of(row.stage, is_held=row.worker is not None, is_cancel_requested=bool(row.cancel_requested))


@dataclass(frozen=True, slots=True)
class Overdue(Ailment):
    """A schedule with `finish_within`, or an expected task, of which no job has completed in time."""

    name: ClassVar[str] = "overdue-schedule"
    remedies: ClassVar = {
        "nobody leads": Remedy(
            f"{_CAUSE} No worker runs, so that nobody leads, and nothing is enqueued when its time has come.",
            "lineshaft --app MODULE:NAME worker",
            "Have the service manager keep a worker running; what was missed is made up for as catch_up= says.",
        ),
        "no job": Remedy(
            _CAUSE,
            "lineshaft schedules run NAME",
            "Look at 'lineshaft schedules history NAME': its notes say why ticks were skipped or missed. A longer "
            "finish_within, or overlap='queue', suits jobs that take longer than the time between two ticks.",
        ),
        "unfinished": Remedy(
            _CAUSE,
            "lineshaft jobs why JOB",
            "Where jobs need that long, give the schedule a longer finish_within; else more workers, or a higher "
            "priority than what is taken before them.",
        ),
        "failed": Remedy(
            _CAUSE,
            "lineshaft jobs why JOB",
            "When what made it fail is mended, 'lineshaft jobs retry ID', or 'lineshaft schedules run NAME' for a new "
            "one.",
        ),
        "task": Remedy(
            _CAUSE,
            "lineshaft jobs list --name TASK",
            "See whether its jobs fail, wait or are no longer enqueued. Where nobody expects them any more, 'lineshaft "
            "schedules delete NAME'.",
        ),
    }

    @property
    def title(self) -> str:
        """How people call it."""
        return "overdue schedules"

    def look(self, patient: Patient) -> Iterator[Finding | Unseen]:
        """Yield each schedule, the longest overdue first."""
        cases, others, unreadable = patient.engine.read(lambda tx: _find(tx, patient.now()))
        is_led = not cases or bool(live_workers(patient))
        for case in cases:
            yield self._finding(patient, case, is_led=is_led)
        if others:
            yield Unseen(self.name, f"{others:,} more schedules are overdue; 'lineshaft schedules list' shows them all")
        for name in unreadable:
            yield Unseen(self.name, f"schedule {name!r} was stored by another version, and cannot be judged here")

    def _finding(self, patient: Patient, case: _Case, *, is_led: bool) -> Finding:
        late = case.late
        age = patient.now() - late.since
        kind, what = _what_happened(case) if is_led else ("nobody leads", "no worker runs")
        symptom = f"schedule {late.name!r} overdue for {span(age)}: {_expectation(late)}; {what}"
        facts: dict[str, Any] = {
            "kind": kind, "schedule": late.name, "task": late.task, "since": to_datetime(late.since),
            "seconds": age / SECOND, "job": case.tick.job if case.tick and is_led else None,
        }  # fmt: skip
        words = {"NAME": quote(late.name), "TASK": quote(late.task), "JOB": facts["job"] or ""}
        return self.remedies[kind].finding(self.name, patient, symptom, facts, **words)


def _find(tx: Tx, now: int) -> tuple[list[_Case], int, list[str]]:
    late, unreadable = find_late(tx, now)
    return [_case(tx, one) for one in late[:_SHOWN]], len(late[_SHOWN:]), unreadable


def _case(tx: Tx, late: Late) -> _Case:
    tick = None if late.is_check else last_tick(tx, late)
    return _Case(late, tick, get_job(tx, tick.job) if tick and tick.job else None)


def _expectation(late: Late) -> str:
    if late.is_check:
        last = "ever" if late.succeeded_at is None else f"since {to_datetime(late.succeeded_at):%Y-%m-%dT%H:%M:%SZ}"
        return f"no job of task {late.task!r} has completed {last}"
    return f"no job of task {late.task!r} for the tick of {to_datetime(late.tick):%Y-%m-%dT%H:%M:%SZ} has completed"


def _what_happened(case: _Case) -> tuple[str, str]:
    tick, job, state = case.tick, case.job, case.job_state
    if case.late.is_check:
        return "task", "its jobs fail, wait, or are not enqueued"
    if tick is None:
        return "no job", "none was enqueued"
    if job is None or state is None or state is State.COMPLETED:
        return "no job", f"its tick {_fate(tick)}"
    reason = f" ({job.reason})" if job.reason else ""
    return "failed" if state.is_final else "unfinished", f"job {job.id} is {state}{reason}"


def _fate(tick: LastTick) -> str:
    note = f": {tick.note}" if tick.note else ""
    match TickState(tick.state):
        case TickState.WAITING:
            return "waits for its turn"
        case TickState.SKIPPED:
            return f"was skipped{note}"
        case TickState.MISSED:
            return "was missed"
        case _:
            return "has no job any more"
