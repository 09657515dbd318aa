"""`app.schedules`: jobs that are enqueued again and again."""

from lineshaft.app.schedules.backfills import Backfill
from lineshaft.app.schedules.schedule import Schedule, Tick
from lineshaft.app.schedules.schedules import Schedules
from lineshaft.features.schedules.declared import Synced

__all__ = ["Backfill", "Schedule", "Schedules", "Synced", "Tick"]
