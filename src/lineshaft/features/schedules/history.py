"""What has become of the jobs of ticks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lineshaft.engines.base import Tx
from lineshaft.store.queries import Statements
from lineshaft.transitions import State, state_of

SQL: Final = Statements("history", "lineshaft.features.schedules")


def job_states(tx: Tx, ids: Sequence[str]) -> dict[str, State]:
    """Return the states of those of the jobs that there still are, by id."""
    return {
        job: state_of(stage, is_held=bool(is_held), is_cancel_requested=bool(is_cancel_requested))
        for job, stage, is_held, is_cancel_requested in tx.run(SQL.job_stages, {"ids": list(ids)})
    }
