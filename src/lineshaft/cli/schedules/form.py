"""Schedules and ticks as JSON shows them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lineshaft.cli.schemas import ScheduleForm, TickForm

if TYPE_CHECKING:
    from lineshaft.app.schedules import Schedule, Tick


def schedule_object(schedule: Schedule) -> ScheduleForm:
    """Return a schedule as a listing shows it."""
    args, kwargs = schedule.args
    return {
        "name": schedule.name,
        "task": schedule.task,
        "in_words": schedule.in_words,
        "timezone": schedule.timezone,
        "rule": schedule.rule,
        "source": schedule.source,
        "declared_by": schedule.declared_by,
        "state": schedule.state,
        "next_at": schedule.next_at,
        "last_at": schedule.last_at,
        "last_job": schedule.last_job,
        "overdue_at": schedule.overdue_at,
        "overridden": list(schedule.overridden),
        "declared": {name: _plain(value) for name, value in schedule.declared.items()},
        "paused_at": schedule.paused_at,
        "paused_by": schedule.paused_by,
        "pause_reason": schedule.pause_reason,
        "catch_up": schedule.catch_up,
        "catch_up_limit": schedule.catch_up_limit,
        "grace": _seconds(schedule.grace),
        "overlap": schedule.overlap,
        "jitter": _seconds(schedule.jitter),
        "finish_within": None if schedule.finish_within is None else _seconds(schedule.finish_within),
        "start": schedule.start,
        "end": schedule.end,
        "queue": schedule.queue,
        "priority": schedule.priority,
        "tenant": schedule.tenant,
        "tags": list(schedule.tags),
        "args": args,
        "kwargs": kwargs,
        "created_at": schedule.created_at,
        "updated_at": schedule.updated_at,
    }


def tick_object(tick: Tick) -> TickForm:
    """Return a tick as a listing shows it."""
    return {
        "schedule": tick.schedule,
        "at": tick.at,
        "run": tick.run,
        "state": tick.state,
        "job_id": tick.job_id,
        "job_state": tick.job_state,
        "decided_at": tick.decided_at,
        "note": tick.note,
    }


def _plain(value: Any) -> Any:
    return _seconds(value) if isinstance(value, timedelta) else value


def _seconds(duration: timedelta) -> float:
    return duration.total_seconds()
