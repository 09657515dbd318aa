"""Schedules that stand above a task in the code: read and checked, and refused with their place."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lineshaft.clock import wall_clock
from lineshaft.errors import LineshaftError, ScheduleError
from lineshaft.options.schedule import CHECKS, JOB, RULE, check_agreement, checked_name, checked_ticks
from lineshaft.recurrence import Recurrence, recurrence_of
from lineshaft.task import Task, plain_function

if TYPE_CHECKING:
    from lineshaft.newjob import NewJob

_OPTIONS: Final = RULE | CHECKS.keys() | JOB | {"name", "args", "kwargs"}


@dataclass(frozen=True, slots=True)
class Declaration:
    """One schedule of one task, as its code declares it."""

    name: str
    task: Task[Any, Any, Any]
    recurrence: Recurrence
    ticks: Mapping[str, Any]
    """What a tick does, as `checked_ticks` returns it."""
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    options: Mapping[str, Any]
    """What its jobs have in place of their task's options."""
    place: str
    """Where the function is defined, `file:line`."""

    def new_job(self) -> NewJob[Any]:
        """Return the job of each tick, not stored yet; raises `ScheduleError`, with the place, when it cannot be."""
        with refused_at(self.name, self.place):
            return self.task.options(**self.options).new(*self.args, **self.kwargs)


def declare(task: Any, given: Mapping[str, Any], prefix: str) -> Declaration:
    """Return a schedule of a task; raises `ScheduleError`, with the place and the reason, when something is wrong."""
    place = _place_of(task)
    if not isinstance(task, Task):
        called = getattr(task, "__qualname__", repr(task))
        msg = f"{called} at {place} is not a task yet, and only tasks have schedules: put @app.schedule above @app.task"
        raise ScheduleError(msg)
    said = given.get("name")
    with refused_at(said if isinstance(said, str) else task.name, place):
        return _declared(task, given, prefix, place)


@contextmanager
def refused_at(name: str, place: str | None = None) -> Iterator[None]:
    """Say of which schedule, and where, whatever is refused in the block; as `ScheduleError`."""
    where = f"schedule {name!r}" if place is None else f"schedule {name!r} at {place}"
    try:
        yield
    except (LineshaftError, TypeError) as error:
        msg = f"{where}: {error}"
        raise ScheduleError(msg) from error


def _declared(task: Task[Any, Any, Any], given: Mapping[str, Any], prefix: str, place: str) -> Declaration:
    if unknown := sorted(given.keys() - _OPTIONS):
        msg = f"unexpected option {unknown[0]!r}; a schedule takes {', '.join(sorted(_OPTIONS))}"
        raise TypeError(msg)
    name = task.name if given.get("name") is None else prefix + checked_name(given["name"])
    now = wall_clock()
    recurrence = _recurrence(_chosen(given, RULE), now)
    ticks = checked_ticks(_chosen(given, CHECKS.keys()))
    check_agreement(recurrence, ticks, now)
    args, kwargs = _arguments(given.get("args", ()), given.get("kwargs", {}))
    options = _chosen(given, JOB)
    task.options(**options)
    task.signature.check(args, kwargs)
    return Declaration(name, task, recurrence, ticks, args, kwargs, options, place)


def _recurrence(rule: dict[str, Any], now: int) -> Recurrence:
    """Return a rule; one whose last tick is over does no harm in the code, one that never had any is refused."""
    try:
        return recurrence_of(**rule, now=now)
    except ScheduleError:
        with suppress(ScheduleError):
            return recurrence_of(**rule, now=0)
        raise


def _chosen(given: Mapping[str, Any], names: Any) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name in names}


def _arguments(args: Any, kwargs: Any) -> tuple[Sequence[Any], Mapping[str, Any]]:
    if not isinstance(args, list | tuple):
        msg = f"args={args!r} must be a tuple or a list of the positional arguments; for one, write args=({args!r},)"
        raise TypeError(msg)
    if not (isinstance(kwargs, Mapping) and all(isinstance(name, str) for name in kwargs)):
        msg = f"kwargs={kwargs!r} must be a dict of the arguments by name"
        raise TypeError(msg)
    return tuple(args), dict(kwargs)


def _place_of(target: Any) -> str:
    func = inspect.unwrap(plain_function(getattr(target, "func", target)))
    code = getattr(func, "__code__", None)
    if code is None:
        return repr(target)
    file = Path(code.co_filename)
    folder = Path.cwd()
    shown = file.relative_to(folder) if file.is_relative_to(folder) else file
    return f"{shown}:{code.co_firstlineno}"
