"""`app.schedules.expect`: a dead man's switch for a task, however its jobs come to be."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Unpack

from lineshaft.app.crossing import twin
from lineshaft.declaration import refused_at
from lineshaft.errors import ScheduleError
from lineshaft.features.schedules.definition import Definition, stored_text
from lineshaft.options.schedule import checked_name
from lineshaft.recurrence import recurrence_of
from lineshaft.task import Task

if TYPE_CHECKING:
    from lineshaft.app.schedules.schedule import Schedule
    from lineshaft.app.store import Store
    from lineshaft.options.schedule import RuleOptions


class ExpectCalls(ABC):
    """What `app.schedules` expects of tasks."""

    _store: Store

    @abstractmethod
    def _create(self, name: str, declared: str, *, exist_ok: bool) -> Schedule:
        """Store a schedule of this definition."""

    def expect(
        self, name: str, task: Task[Any, Any, Any] | str, *, exist_ok: bool = False, **rule: Unpack[RuleOptions]
    ) -> Schedule:
        """Expect that by each tick of a rule a job of a task has completed since the tick before.

        `task` is a task, or the name of one; the rule is that of a schedule: one of `cron`, `every`, `at`, `days`, and
        what belongs to it. As long as none has, the schedule is overdue: `Schedule.overdue_at`, the events `overdue`
        and `recovered`, and a line of `lineshaft doctor` tell of it. It counts from the first tick that comes.
        With `exist_ok` one of this name that was created at run time becomes like this one. Raises `ScheduleError`.
        """
        task_name = task.name if isinstance(task, Task) else task
        with refused_at(str(name)):
            checked_name(name)
            definition = _definition(task_name, rule, self._store.engine.clock.now())
        return self._create(name, stored_text(definition), exist_ok=exist_ok)

    aexpect = twin(expect)


def _definition(task: Any, rule: Any, now: int) -> Definition:
    if not isinstance(task, str) or not task:
        msg = f"task={task!r} must be a task or the name of one"
        raise ScheduleError(msg)
    recurrence = recurrence_of(**rule, now=now)
    if recurrence.is_after_finish:
        msg = "since='finish' counts from the end of jobs, and it is those that are waited for; leave it out"
        raise ScheduleError(msg)
    first = recurrence.after(now)
    if first is None or recurrence.after(first) is None:
        msg = "it ticks once, and what is looked at is what happens between two ticks; give a rule with more of them"
        raise ScheduleError(msg)
    return Definition(recurrence, action="check", task=task)
