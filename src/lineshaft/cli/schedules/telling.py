"""What is said of a schedule that was made or changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lineshaft.cli.output import one_line, print_hint, print_json, print_text
from lineshaft.cli.schedules.form import schedule_object
from lineshaft.cli.schedules.times import coming

if TYPE_CHECKING:
    from lineshaft.app.schedules import Schedule
    from lineshaft.cli.session import Session


def tell(session: Session, schedule: Schedule) -> None:
    """Say when a schedule ticks now, and that nobody serves its queue where that is so."""
    if session.is_json:
        print_json(schedule_object(schedule))
        return
    print_text(f"schedule {schedule.name} {coming(schedule)}: {one_line(schedule.in_words)}")
    workers = session.store().workers.list()
    if workers and schedule.queue is not None and not any(schedule.queue in one.queues for one in workers):
        print_hint(f"no worker that runs now serves its queue {one_line(schedule.queue)!r}")
