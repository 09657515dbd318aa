"""Rules of the store and of the worker, each broken on purpose: some seed has to notice."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, Final

from lineshaft.engines.base import Statement
from lineshaft.engines.sqlite.locks import LockFolder
from lineshaft.features.schedules import batch
from lineshaft.leader import Leader
from lineshaft.store import claim, finish, lead
from lineshaft.store.queries import Statements
from lineshaft.store.upkeep import Beaten
from lineshaft.worker import liveness
from lineshaft.worker.liveness import Upkeep
from lineshaft.worker.loop import StoreLoop
from lineshaft.worker.rescuer import Rescuer
from tests.simulation.threads import SECOND, replaced


@contextmanager
def _without(module: Statements, name: str, pattern: str, instead: str = "") -> Iterator[None]:
    """Leave what matches a pattern out of a statement."""
    before: Statement = module.by_name[name]
    parts = tuple(re.sub(pattern, instead, part) for part in before.sqlite.parts)
    assert parts != before.sqlite.parts, f"{name} has nothing like {pattern!r}"
    module.by_name[name] = replace(before, sqlite=replace(before.sqlite, parts=parts))
    try:
        yield
    finally:
        module.by_name[name] = before


# The condition on claim, stage and worker.
_FENCE: Final = r" and claim = r\.value ->> \d+ and stage = 1 and worker = :worker"


def _constant(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


MUTANTS: Final[dict[str, Callable[[], AbstractContextManager[None]]]] = {
    "finish-without-fence": lambda: _without(finish.SQL, "complete_jobs", _FENCE),
    "put-back-without-fence": lambda: _without(finish.SQL, "put_back_jobs", _FENCE),
    "claim-what-is-held": lambda: _without(claim.SQL, "claim_jobs", " and worker is null"),
    "claim-without-order": lambda: _without(claim.SQL, "claim_jobs", "order by rank, .*, id ", "order by id "),
    "promote-too-early": lambda: _without(claim.SQL, "promote_due", " and run_at <= :now"),
    "rescue-without-lock": lambda: replaced(LockFolder, "is_free", _constant(True)),
    "forget-lost-claims": lambda: replaced(StoreLoop, "_reconcile", _constant(None)),
    "overhear-own-death": lambda: replaced(liveness, "beat", _beat_true(liveness.beat)),
    "rescue-without-patience": lambda: replaced(Rescuer, "step", _rescue_at_once),
    "lead-beside-the-leader": lambda: replaced(Leader, "hear", _lead_anyway),
    "never-lead-again": lambda: _without(lead.SQL, "take_lead", "term = :seen", "term = 0"),
    "tick-from-now-on": lambda: replaced(batch, "due_ticks", _due_from_now(batch.due_ticks)),
    "claim-without-lease": lambda: replaced(Upkeep, "has_lease", _constant(True)),
}


def _due_from_now(due_ticks: Callable[..., Any]) -> Callable[..., Any]:
    """Forget the ticks that came while nobody led."""
    return lambda definition, next_at, now: due_ticks(definition, next_at and max(next_at, now - 5 * SECOND), now)


def _rescue_at_once(rescuer: Any, now: int) -> int:
    """Believe every heartbeat's age, even if the clock was set a moment ago."""
    rescuer._judges_from = 0.0
    return sum(rescuer._rescue(one) for one in rescuer._dead(now))


def _lead_anyway(leader: Any, lead: Any) -> None:
    """Lead, whoever else does."""
    leader._serve(lead.term)


def _beat_true(beat: Callable[..., Beaten | None]) -> Callable[..., Beaten | None]:
    def always(*args: Any, **kwargs: Any) -> Beaten | None:
        return beat(*args, **kwargs) or Beaten(is_draining=False)

    return always
