"""Which command prints what, and its JSON Schema."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any, Final

import msgspec

from lineshaft.cli.schemas.breakers import BreakerForm
from lineshaft.cli.schemas.jobs import (
    Cancelled,
    Deleted,
    JobForm,
    LogForm,
    Retried,
    WholeJob,
    WhyForm,
)
from lineshaft.cli.schemas.limits import LimitForm, WholeLimit
from lineshaft.cli.schemas.queues import (
    Drained,
    Purged,
    QueueForm,
    TaskForm,
)
from lineshaft.cli.schemas.schedules import (
    BackfillForm,
    NextForm,
    RuleForm,
    ScheduleForm,
    SchedulesDeleted,
    TickForm,
    WholeSchedule,
)
from lineshaft.cli.schemas.stores import (
    BackedUp,
    CopiedForm,
    Migrated,
    ReopenedForm,
    RestoredForm,
)
from lineshaft.errors import ConfigError


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
    "queues show": QueueForm,
    "queues update": list[QueueForm],
    "queues purge": Purged,
    "limits list": list[LimitForm],
    "limits show": WholeLimit,
    "limits update": LimitForm,
    "limits reset": LimitForm,
    "breakers list": list[BreakerForm],
    "breakers show": BreakerForm,
    "breakers open": list[BreakerForm],
    "breakers close": list[BreakerForm],
    "breakers reset": list[BreakerForm],
    "schedules list": list[ScheduleForm],
    "schedules show": WholeSchedule,
    "schedules next": NextForm,
    "schedules history": list[TickForm],
    "schedules check": RuleForm,
    "schedules run": JobForm,
    "schedules run --wait": WholeJob,
    "schedules backfill": BackfillForm,
    "schedules backfills": list[BackfillForm],
    "schedules cancel-backfill": BackfillForm,
    "schedules pause": list[ScheduleForm],
    "schedules resume": list[ScheduleForm],
    "schedules create": ScheduleForm,
    "schedules expect": ScheduleForm,
    "schedules update": ScheduleForm,
    "schedules reset": ScheduleForm,
    "schedules delete": SchedulesDeleted,
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
