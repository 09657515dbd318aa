"""The table of keys and the jobs that hold them. A key's row is the lock under which its holder may change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypedDict

from lineshaft.features.unique.rules import FOREVER, WAITING, Holder
from lineshaft.store.queries import Statements
from lineshaft.transitions import state_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lineshaft.engines.base import Row, Tx

SQL: Final = Statements("unique", "lineshaft.features.unique")

_CHUNK: Final = 1_000


class KeyRow(TypedDict):
    """A key and the job that holds it."""

    key: str
    job: str
    until: int | None


class Pruned(NamedTuple):
    """What one step of pruning did."""

    deleted: int
    after: str | None
    """The key to go on after; None: all keys have been looked at."""


def take_keys(tx: Tx, rows: Sequence[KeyRow]) -> bool:
    """Take the keys that nobody has, lock all of them until the transaction ends, and tell whether all were free."""
    return int(tx.run(SQL.take_keys, {}, _sorted(rows))[0][0]) == len(rows)


def find_holders(tx: Tx, keys: Collection[str]) -> dict[str, str]:
    """Return the id of the job that holds each key; it may be finished or gone."""
    return dict(tx.run(SQL.find_holders, {"keys": sorted(keys)}))


def look_up_jobs(tx: Tx, ids: Collection[str]) -> dict[str, Holder]:
    """Return those of the jobs that exist, finished or not, as they are now."""
    return {row[0]: _holder(row) for row in tx.run(SQL.look_up_jobs, {"ids": sorted(ids)})}


def lock_waiting(tx: Tx, ids: Collection[str]) -> set[str]:
    """Keep those of the jobs that wait from being claimed until the transaction ends, and return them."""
    return {row[0] for row in tx.run(SQL.lock_waiting, {"ids": sorted(ids)})}


def replace_jobs(tx: Tx, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Give waiting jobs, locked by `lock_waiting`, what the row of their id says (`rules.REPLACED`, `place_of`)."""
    tx.run(SQL.replace_jobs, {}, [{"id": job_id, **rows[job_id]} for job_id in sorted(rows)])


def move_keys(tx: Tx, rows: Sequence[KeyRow]) -> None:
    """Give keys that this transaction has taken to other jobs."""
    tx.run(SQL.move_keys, {}, _sorted(rows))


def prune_keys(tx: Tx, *, now: int, after: str = "") -> Pruned:
    """Look at up to 1,000 keys behind `after` and delete those whose jobs hold them no longer.

    Goes through all keys when it is called, in transactions of its own, with the `after` of each answer until
    that is None. `now` is in microseconds since the epoch.
    """
    last = tx.run(SQL.last_of_chunk, {"after": after, "limit": _CHUNK})[0][0]
    if last is None:
        return Pruned(0, None)
    judged_by = {"now": now, "forever": FOREVER}
    unheld = [row[0] for row in tx.run(SQL.lock_unheld, {"after": after, "last": last, **judged_by})]
    deleted = tx.run(SQL.delete_unheld, {"keys": unheld, **judged_by})[0][0] if unheld else 0
    return Pruned(int(deleted), last)


def _holder(row: Row) -> Holder:
    job_id, stage, is_held, is_cancel_requested, created_at, run_at, started_at = row
    state = state_of(stage, is_held=bool(is_held), is_cancel_requested=bool(is_cancel_requested))
    # A waiting job that was asked to stop ends at its next claim: what replaced it would be lost with it.
    is_waiting = state in WAITING and not is_cancel_requested
    return Holder(job_id, state, created_at, is_waiting, True, stage, run_at, started_at)


def _sorted(rows: Sequence[KeyRow]) -> list[KeyRow]:
    return sorted(rows, key=lambda row: row["key"])
