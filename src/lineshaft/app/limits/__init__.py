"""`app.limits`: the limits that a store knows, how busy they are, and what people change of them."""

from lineshaft.app.limits.course import LimitChange
from lineshaft.app.limits.limit import Limit, LimitKey
from lineshaft.app.limits.limits import Limits

__all__ = ["Limit", "LimitChange", "LimitKey", "Limits"]
