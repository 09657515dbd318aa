"""What `--json` prints, as types and as JSON Schema: `schema("jobs list")`.

The commands build what these types say and mypy holds them to it; the schemas are made from the types, so that neither
can drift from the other. New keys may come with a new version; those that there are stay.
"""

from __future__ import annotations

import dataclasses
import importlib
from datetime import datetime
from typing import Annotated, Any, Final, TypedDict

import msgspec

from lineshaft.errors import ConfigError
from lineshaft.transitions import Reason, State

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time, as ISO 8601 with its zone."""


class ProgressForm(TypedDict):
    """How far a job is."""

    fraction: float
    message: str | None
    at: Moment


class JobForm(TypedDict):
    """A job in a listing."""

    id: str
    name: str
    state: State
    reason: Reason | None
    queue: str
    priority: int
    attempt: int
    max_attempts: int
    tags: list[str]
    meta: dict[str, Any]
    tenant: str | None
    created_at: Moment
    run_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    deadline: Moment | None
    progress: ProgressForm | None
    args: list[Any]
    kwargs: dict[str, Any]


class ErrorForm(TypedDict):
    """A failed attempt."""

    attempt: int
    type: str
    message: str
    traceback: str | None
    at: Moment


class WholeJob(JobForm):
    """A job with its errors and its result."""

    errors: list[ErrorForm]
    result: Any


class LogForm(TypedDict):
    """A line that a job logged."""

    attempt: int
    at: Moment
    level: str
    logger: str
    message: str


class HoldForm(TypedDict):
    """A reason why a job does not go on; of a finished one, how it ended."""

    kind: str
    text: str
    until: Moment | None
    cure: str | None
    facts: dict[str, Any]


class WhyForm(TypedDict):
    """What holds a job, the most decisive reason first."""

    id: str
    state: State
    at: Moment
    holds: list[HoldForm]


class Cancelled(TypedDict):
    """What `jobs cancel` did; `failed` says why, by id."""

    cancelled: int
    failed: dict[str, str]


class Retried(TypedDict):
    """What `jobs retry` did; `failed` says why, by id."""

    retried: int
    failed: dict[str, str]


class Deleted(TypedDict):
    """What `jobs delete` did; `failed` says why, by id."""

    deleted: int
    failed: dict[str, str]


class QueueForm(TypedDict):
    """A queue; `depth` are the jobs that wait, `counts` the unfinished ones by state."""

    name: str
    paused: bool
    paused_at: Moment | None
    paused_by: str | None
    pause_reason: str | None
    depth: int
    max_depth: int | None
    counts: dict[str, int]


class Purged(TypedDict):
    """What `queues purge` did."""

    deleted: int


class Drained(TypedDict):
    """What `workers drain` did: the ids that were asked to end, those that there are not, whether it waited."""

    drained: list[int]
    unknown: list[int]
    has_ended: bool


class TaskForm(TypedDict):
    """A task; `timeout` in seconds."""

    name: str
    queue: str
    runs_in: str
    priority: int
    max_attempts: int
    timeout: float | None
    parameters: list[str]


class MigrationForm(TypedDict):
    """A migration."""

    number: int
    name: str


class _Schema(TypedDict):
    store: str
    schema: int


class Migrated(_Schema, total=False):
    """What `migrate` did, or with `--check` is to do."""

    applied: list[MigrationForm]
    pending: list[MigrationForm]


class BackupForm(TypedDict):
    """What is in a backup: `rows` by table."""

    store: str
    schema: int
    made_at: Moment
    rows: dict[str, int]


class BackedUp(BackupForm):
    """What `backup` wrote."""

    file: str
    bytes: int


class RestoredForm(TypedDict):
    """What `restore` did: the queues that it paused, the ids of the jobs that ran when the backup was made."""

    store: str
    file: str
    backup: BackupForm
    paused: list[str]
    interrupted: list[str]


class TableForm(TypedDict):
    """A table that `copy` found equal in both stores."""

    rows: int
    digest: str


class CopiedForm(TypedDict):
    """What `copy` moved; `interrupted` are the ids of the jobs that dead workers held."""

    source: str
    target: str
    closed_at: Moment
    interrupted: list[str]
    tables: dict[str, TableForm]


class ReopenedForm(TypedDict):
    """What `copy --reopen` opened, and where its copy is."""

    source: str
    target: str


@dataclasses.dataclass(frozen=True)
class _At:
    """A type of a module that is imported when its schema is asked for, with what the command adds to its fields."""

    module: str
    name: str
    more: tuple[tuple[str, str, str], ...] = ()

    def load(self) -> Any:
        found = _type(self.module, self.name)
        if not self.more:
            return found
        own = [(field.name, field.type) for field in dataclasses.fields(found)]
        added = [(name, _type(module, kind)) for name, module, kind in self.more]
        return dataclasses.make_dataclass(found.__name__, [*own, *added], namespace={"__module__": found.__module__})


def _type(module: str, name: str) -> Any:
    return eval(name, vars(importlib.import_module(module)))  # noqa: S307 - names that stand in this file


OUTPUTS: Final[dict[str, Any]] = {
    "migrate": Migrated,
    "jobs list": list[JobForm],
    "jobs show": WholeJob,
    "jobs why": WhyForm,
    "jobs logs": list[LogForm],
    "jobs enqueue": JobForm,
    "jobs enqueue --wait": WholeJob,
    "jobs cancel": Cancelled,
    "jobs retry": Retried,
    "jobs delete": Deleted,
    "queues list": list[QueueForm],
    "queues pause": list[QueueForm],
    "queues resume": list[QueueForm],
    "queues limit": list[QueueForm],
    "queues purge": Purged,
    "workers list": _At("lineshaft.app.queues", "list[WorkerInfo]"),
    "workers drain": Drained,
    "tasks list": list[TaskForm],
    "top": _At("lineshaft.cli.top.snapshot", "Snapshot"),
    "backup": BackedUp,
    "restore": RestoredForm,
    "copy": CopiedForm,
    "copy --reopen": ReopenedForm,
    "doctor": _At("lineshaft.doctor", "Report", (("is_well", "builtins", "bool"),)),
    "chaos": _At("lineshaft.testing.fleet", "FleetReport"),
    "bench": _At(
        "lineshaft.bench.figures",
        "Figures",
        (
            ("shares", "lineshaft.bench.figures", "Shares | None"),
            ("verdict", "lineshaft.bench.verdict", "tuple[Finding, ...]"),
        ),
    ),
}
"""The type of what each command prints with `--json`; commands that are not here have none."""


def schema(command: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of what a command such as `jobs list` prints with `--json`.

    Raises `ConfigError` for a command that prints none.
    """
    if command not in OUTPUTS:
        raise ConfigError(f"there is no command {command!r} with --json; it is one of {', '.join(OUTPUTS)}")
    output = OUTPUTS[command]
    made = msgspec.json.schema(output.load() if isinstance(output, _At) else output)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"lineshaft {command}", **_closed(made)}


def _closed(part: Any) -> Any:
    """Return a schema whose objects have no keys but those that it names."""
    if isinstance(part, list):
        return [_closed(one) for one in part]
    if not isinstance(part, dict):
        return part
    closed = {name: _closed(value) for name, value in part.items()}
    is_record = "properties" in part and part.get("type") == "object"
    return {**closed, "additionalProperties": False} if is_record else closed
