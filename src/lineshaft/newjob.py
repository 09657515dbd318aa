"""A checked job that is not stored yet, and the row that it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from lineshaft.transitions import Stage

if TYPE_CHECKING:
    from lineshaft.blobs import Blob
    from lineshaft.options import Options
    from lineshaft.task import Task

R_co = TypeVar("R_co", covariant=True)

_encode: Final = msgspec.json.Encoder().encode


@dataclass(slots=True)  # to freeze it would make each one cost four times as much
class NewJob(Generic[R_co]):
    """A checked job that is not stored yet; `app.enqueue_many`, batches and workflows take it."""

    name: str
    args: str
    """The stored text of the arguments."""
    options: Options
    execution: Mapping[str, Any]
    """How this job runs, where its options said so, and what follows it."""
    unique_text: str | None = None
    """The canonical text of the arguments that make it unique."""
    task: Task[Any, Any, R_co] | None = None
    blobs: tuple[Blob, ...] = ()
    """Large values among the arguments, which are written before the job is stored."""
    fair_text: str | None = None
    """The text of its `fair_key`, if its task has one."""


def shared_row(one: NewJob[Any], now: int, context: str | None) -> dict[str, Any]:
    """Return the row that a job becomes when it is enqueued now, without what is its own: id and arguments."""
    options = one.options
    run_at = options.run_at if options.run_at is not None else now + (options.delay or 0)
    return {
        "queue": options.queue,
        "name": one.name,
        "rank": -options.priority,
        "run_at": run_at,
        "stage": int(Stage.SCHEDULED if run_at > now else Stage.READY),
        "created_at": now,
        "max_attempts": options.retry.max_attempts,
        "deadline": options.deadline if options.deadline_in is None else now + options.deadline_in,
        "tenant": options.tenant,
        "tags": _encode(options.tags).decode() if options.tags else None,
        "meta": _encode(options.meta).decode() if options.meta else None,
        "options": _encode(one.execution).decode() if one.execution else None,
        "context": context,
    }
