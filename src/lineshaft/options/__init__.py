"""What can be said about a job when it is defined or enqueued, checked once and kept in the units of the store."""

from lineshaft.options.checks import LANES, PRIORITIES, Lane, PriorityName
from lineshaft.options.execution import Execution, apply_execution, stored_execution
from lineshaft.options.instance import job_of
from lineshaft.options.options import Options
from lineshaft.options.pace import Debounce, Pace, Throttle
from lineshaft.options.retries import dump_retry, import_by_path, load_retry
from lineshaft.options.template import JobTemplate, StoredUnique, template_of
from lineshaft.options.unique import OnConflict, Unique
from lineshaft.options.unset import UNSET

__all__ = [
    "LANES",
    "PRIORITIES",
    "UNSET",
    "Debounce",
    "Execution",
    "JobTemplate",
    "Lane",
    "OnConflict",
    "Options",
    "Pace",
    "PriorityName",
    "StoredUnique",
    "Throttle",
    "Unique",
    "apply_execution",
    "dump_retry",
    "import_by_path",
    "job_of",
    "load_retry",
    "stored_execution",
    "template_of",
]
