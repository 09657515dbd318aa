"""Fills a store with waiting and finished jobs by SQL, within seconds; the jobs look as if they had come by themselves.

The waiting ones were enqueued an hour ago, the finished ones over the two days before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

from lineshaft.clock import HOUR
from lineshaft.engines.base import Engine, Statement
from lineshaft.store.queries import Statements
from lineshaft.store.upkeep import ensure_history

SQL: Final = Statements("filling", "benchmarks.load")
QUEUE: Final = "default"
TASK: Final = "growth.pass_on"

_CHUNK: Final = 250_000
_FINISHED_WITHIN: Final = 47 * HOUR

Tell = Callable[[str], None]


class Filler:
    """Fills one store; the numbers of its jobs go on from call to call."""

    def __init__(self, engine: Engine, *, name: str = TASK, tell: Tell = lambda _: None) -> None:
        self._engine, self._name, self._tell = engine, name, tell
        self._waiting = self._delayed = 0

    def add_waiting(self, count: int) -> None:
        """Add jobs that are ready to run, behind those that wait already."""
        now = self._engine.clock.now()
        self._fill(SQL.fill_waiting, self._waiting, count, now - HOUR, 1)
        self._waiting += count

    def add_finished(self, count: int) -> None:
        """Add jobs that ended within the last two days; once for a store, before the waiting ones."""
        now = self._engine.clock.now()
        self._engine.write(lambda tx: ensure_history(tx, now=now))
        self._fill(
            SQL.fill_finished, 0, count, now - HOUR - _FINISHED_WITHIN, max(1, _FINISHED_WITHIN // max(1, count))
        )

    def add_delayed(self, count: int, *, start: int, spacing: int) -> None:
        """Add jobs that fall due one after the other, from an instant on; times in microseconds."""
        self._fill(SQL.fill_delayed, self._delayed, count, start - self._delayed * spacing, spacing)
        self._delayed += count

    def settle(self) -> None:
        """Leave the store as a running one is: vacuumed, analyzed (PostgreSQL), nothing left to be written."""
        if self._engine.dialect == "sqlite":
            self._engine.vacuum()
            return
        from lineshaft.engines.postgres import PostgresEngine

        postgres = cast(PostgresEngine, self._engine)
        with postgres.connect() as connection:
            connection.execute(f'vacuum (analyze) "{postgres.schema}".job')
            connection.execute(f'vacuum (analyze) "{postgres.schema}".history')
            connection.execute("checkpoint")

    def _fill(self, statement: Statement, first: int, count: int, start: int, spacing: int) -> None:
        for begin in range(first, first + count, _CHUNK):
            last = min(begin + _CHUNK, first + count) - 1
            params = {
                "queue": QUEUE, "name": self._name, "start": start, "spacing": spacing, "first": begin, "last": last,
            }  # fmt: skip
            self._engine.write(lambda tx, params=params: tx.run(statement, params))  # type: ignore[misc]
            self._tell(f"{statement.name}: {last + 1 - first:,} of {count:,}")
