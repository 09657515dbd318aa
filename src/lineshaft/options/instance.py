"""The job that a template becomes when its time has come."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import Any

from lineshaft.newjob import NewJob
from lineshaft.options.flow import load_places
from lineshaft.options.options import Options
from lineshaft.options.pace import Debounce, Pace, Throttle
from lineshaft.options.template import JobTemplate, StoredUnique
from lineshaft.options.unique import Unique
from lineshaft.retry import Retry


def job_of(template: JobTemplate, *, meta: dict[str, Any], tenant: str | None = None) -> NewJob[Any]:
    """Return the job that a template becomes, with `meta` beside its own, and this tenant unless it names one."""
    options = Options(
        queue=template.queue,
        priority=template.priority,
        retry=_retry(template.max_attempts),
        delay=template.delay,
        run_at=template.run_at,
        deadline=template.deadline,
        deadline_in=template.deadline_in,
        unique=None if template.unique is None else _unique(template.unique),
        tags=template.tags,
        meta={**(template.meta or {}), **meta},
        tenant=template.tenant or tenant,
        concurrency=load_places(template.orders),
    )
    fair_text = template.fair_text
    return NewJob(template.name, template.args, options, template.execution, template.unique_text, fair_text=fair_text)


@lru_cache
def _retry(max_attempts: int) -> Retry:
    """Return one with its other values as they are: to check those takes longer than all the rest."""
    return Retry(max_attempts=max_attempts)


def _unique(rule: StoredUnique) -> Unique:
    within = _duration(rule.within)
    return Unique(by=rule.by, within=within, states=rule.states, on_conflict=rule.on_conflict, pace=_pace(rule))


def _pace(rule: StoredUnique) -> Pace | None:
    if (quiet := _duration(rule.quiet)) is not None:
        return Debounce(quiet, _duration(rule.at_most))
    every = _duration(rule.every)
    return None if every is None else Throttle(every)


def _duration(micros: int | None) -> timedelta | None:
    return None if micros is None else timedelta(microseconds=micros)
