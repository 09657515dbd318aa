"""When something happens again and again: rules, calendars, time zones.

Nothing here is read before it is asked for: neither zones nor holidays nor the parser of cron expressions.
"""

from lineshaft.recurrence.calendar import Calendar
from lineshaft.recurrence.declare import recurrence_of
from lineshaft.recurrence.recurrence import Recurrence
from lineshaft.recurrence.rules import Cron, Days, Every, Once, OnClosed, Rule, Since

__all__ = ["Calendar", "Cron", "Days", "Every", "OnClosed", "Once", "Recurrence", "Rule", "Since", "recurrence_of"]
