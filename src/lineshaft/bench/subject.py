"""What a bench enqueues: a task with arguments, in the bench's own queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lineshaft import Lineshaft, Task
from lineshaft.bench.tasks import APP, app, in_loop, in_thread
from lineshaft.task import BoundTask


@dataclass(frozen=True, slots=True)
class Subject:
    """A task with the arguments of its jobs."""

    what: str
    task: Task[Any, Any, Any]
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lane(self) -> str:
        """Where its jobs run."""
        return self.task.lane

    def in_queue(self, queue: str) -> BoundTask[Any, Any, Any]:
        """Return the task bound to a queue, without those of its options that would merge, delay or expire jobs."""
        defaults = self.task.defaults
        undone: dict[str, Any] = {}
        if defaults.unique is not None:
            undone["unique"] = None
        if defaults.delay is not None or defaults.run_at is not None:
            undone["delay"] = None
        if defaults.deadline is not None or defaults.deadline_in is not None:
            undone["deadline"] = None
        return self.task.options(queue=queue, tags=[queue], **undone)


@dataclass(frozen=True, slots=True)
class Workload:
    """The app whose worker is measured, `path` by which that finds it, and the tasks."""

    app: Lineshaft
    path: str
    subjects: tuple[Subject, ...]
    task: str | None = None
    """The user's task; None for the bench's own."""


def built_in(store: str) -> Workload:
    """Return the bench's own tasks, which do nothing, on a store."""
    app.use_store(store)
    return Workload(app, APP, (Subject("def in threads", in_thread, [7]), Subject("async def", in_loop, [7])))


def of_user(found: Lineshaft, path: str, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Workload:
    """Return a user's task with plain JSON arguments.

    Raises `UnknownTaskError` where the app has none of this name, and as `Task.enqueue` for arguments that do not fit.
    """
    found.load_imports()
    task = found.find(name)
    positional, keyword = task.signature.rebuild(args, kwargs)
    return Workload(found, path, (Subject(name, task, positional, keyword),), name)
