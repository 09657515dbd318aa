"""What can be said about a job when it is defined or enqueued, checked once and kept in the units of the store."""

from lineshaft.options.adaptive import Adaptive, AdaptiveTerms
from lineshaft.options.breaker import Breaker, BreakerTerms
from lineshaft.options.checks import LANES, PRIORITIES, Lane, PriorityName
from lineshaft.options.declared import DeclaredLimits, Said
from lineshaft.options.execution import Execution, apply_execution, stored_execution
from lineshaft.options.fair import Fair, FairBy, fair_text
from lineshaft.options.flow import (
    FLOW,
    BreakerOption,
    ConcurrencyOption,
    Limit,
    RateOption,
    check_arguments,
    limits_of,
    orders_of,
)
from lineshaft.options.instance import job_of
from lineshaft.options.limits import Concurrency, ConcurrencyTerms, Order, OrderTerms, Rate, RateTerms, parsed_rate
from lineshaft.options.options import Options
from lineshaft.options.pace import Debounce, Pace, Throttle
from lineshaft.options.retries import dump_retry, import_by_path, load_retry
from lineshaft.options.template import JobTemplate, StoredUnique, template_of
from lineshaft.options.unique import OnConflict, Unique
from lineshaft.options.unset import UNSET

__all__ = [
    "FLOW",
    "LANES",
    "PRIORITIES",
    "UNSET",
    "Adaptive",
    "AdaptiveTerms",
    "Breaker",
    "BreakerOption",
    "BreakerTerms",
    "Concurrency",
    "ConcurrencyOption",
    "ConcurrencyTerms",
    "Debounce",
    "DeclaredLimits",
    "Execution",
    "Fair",
    "FairBy",
    "JobTemplate",
    "Lane",
    "Limit",
    "OnConflict",
    "Options",
    "Order",
    "OrderTerms",
    "Pace",
    "PriorityName",
    "Rate",
    "RateOption",
    "RateTerms",
    "Said",
    "StoredUnique",
    "Throttle",
    "Unique",
    "apply_execution",
    "check_arguments",
    "dump_retry",
    "fair_text",
    "import_by_path",
    "job_of",
    "limits_of",
    "load_retry",
    "orders_of",
    "parsed_rate",
    "stored_execution",
    "template_of",
]
