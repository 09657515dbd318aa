"""What a worker does about the schedules of its app when it starts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from lineshaft.app.schedules.changes import declared_definition
from lineshaft.clock import wall_clock
from lineshaft.features.schedules.declared import Synced, bring_in_line, list_declared, out_of_line
from lineshaft.features.schedules.definition import stored_text

if TYPE_CHECKING:
    from lineshaft.app.store import Store
    from lineshaft.declaration import Declaration

_log = logging.getLogger("lineshaft.schedules")

_MOST_SHOWN: Final = 10


def synchronise(store: Store, declarations: Sequence[Declaration], declared_by: str) -> Synced:
    """Bring the store in line with what an app declares; one read when it is so already.

    Raises `ScheduleError` when a name belongs to somebody else, or a job can no longer be made.
    """
    wanted = {one.name: stored_text(declared_definition(one)) for one in declarations}
    known = list(wanted)
    if not store.read(lambda tx: out_of_line(list_declared(tx, declared_by, known), wanted, declared_by)):
        return Synced()

    now = store.engine.clock.now()
    synced = store.write(lambda tx, _: bring_in_line(tx, wanted, declared_by, now))
    _tell(synced, declarations, declared_by)
    return synced


def _tell(synced: Synced, declarations: Sequence[Declaration], declared_by: str) -> None:
    said = [f"{len(names)} {what} ({_shown(names)})" for what, names in synced._asdict().items() if names]
    if said:
        _log.info("schedules of %s: %s", declared_by, ", ".join(said))
    fresh, now = {*synced.added, *synced.changed}, wall_clock()
    for one in declarations:
        if one.name in fresh and one.recurrence.first(now) is None:
            _log.warning("schedule %r at %s has no tick left", one.name, one.place)


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_SHOWN]) + (", …" if len(names) > _MOST_SHOWN else "")
