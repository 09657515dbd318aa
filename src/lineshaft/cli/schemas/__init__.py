"""What `--json` prints, as types and as JSON Schema: `schema("jobs list")`.

The commands build what these types say and mypy holds them to it; the schemas are made from the types, so that neither
can drift from the other. New keys may come with a new version; those that there are stay.
"""

from __future__ import annotations

from lineshaft.cli.schemas.breakers import BreakerForm
from lineshaft.cli.schemas.jobs import (
    Cancelled,
    Deleted,
    ErrorForm,
    HoldForm,
    JobForm,
    LogForm,
    ProgressForm,
    Retried,
    WholeJob,
    WhyForm,
)
from lineshaft.cli.schemas.limits import LimitForm, LimitKeyForm, WholeLimit
from lineshaft.cli.schemas.moment import Moment
from lineshaft.cli.schemas.outputs import OUTPUTS, schema
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
    BackupForm,
    CopiedForm,
    Migrated,
    MigrationForm,
    ReopenedForm,
    RestoredForm,
    TableForm,
)

__all__ = [
    "OUTPUTS",
    "BackedUp",
    "BackfillForm",
    "BackupForm",
    "BreakerForm",
    "Cancelled",
    "CopiedForm",
    "Deleted",
    "Drained",
    "ErrorForm",
    "HoldForm",
    "JobForm",
    "LimitForm",
    "LimitKeyForm",
    "LogForm",
    "Migrated",
    "MigrationForm",
    "Moment",
    "NextForm",
    "ProgressForm",
    "Purged",
    "QueueForm",
    "ReopenedForm",
    "RestoredForm",
    "Retried",
    "RuleForm",
    "ScheduleForm",
    "SchedulesDeleted",
    "TableForm",
    "TaskForm",
    "TickForm",
    "WholeJob",
    "WholeLimit",
    "WholeSchedule",
    "WhyForm",
    "schema",
]
