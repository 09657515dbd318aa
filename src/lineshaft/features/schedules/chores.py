"""The store's own housekeeping as schedules: ensured by the leader, and tuned by whoever wants it another way."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from lineshaft.feature import CHORES, Chore
from lineshaft.features.schedules.declared import new_row, readable, timed
from lineshaft.features.schedules.definition import Definition, stored_text
from lineshaft.features.schedules.records import get_schedule, insert_schedule, lock_schedule, update_schedule
from lineshaft.recurrence import Every, Recurrence

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine, Tx


def ensure_chores(engine: Engine, now: int) -> None:
    """Have a schedule for each chore; what a person has changed of one stays."""
    wanted = {chore.name: stored_text(_definition(chore)) for chore in CHORES}
    for name, text in wanted.items():
        row = engine.read(partial(get_schedule, name=name))
        if row is None or row.declared != text:
            engine.write(partial(_ensure, name=name, text=text, now=now))


def _ensure(tx: Tx, name: str, text: str, now: int) -> None:
    row = lock_schedule(tx, name)
    if row is None:
        insert_schedule(tx, new_row(name, "system", text, None, now))
    elif row.declared != text:
        before = readable(row.declared, row.overrides)
        update_schedule(tx, timed(row._replace(source="system", declared=text), before, now))


def _definition(chore: Chore) -> Definition:
    return Definition(Recurrence(Every(chore.every)), action="chore", chore=chore.name)
