"""A store's tables as streams of rows that are the same on every engine: what backups and copies are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from lineshaft.engines.base import CopyTx, Row, Statement, Tx
from lineshaft.store.queries import Statements

SQL: Final = Statements("copy")

# A row may hold 2 MiB; larger pages were not faster to speak of.
_PAGE: Final = 200
_DIGEST_BYTES: Final = 16
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of row; its tuples hold numbers, texts and None."""

    name: str
    title: str
    take: Statement
    load: Statement
    cursor: tuple[str, ...] = ("after",)
    """The parameters that say behind which row a page begins."""


Cursor = Sequence[Any] | None
"""Where a page ends: whole numbers and texts; None: before the first."""


class Page(NamedTuple):
    """Some rows of a table, in its order."""

    rows: list[Row]
    end: Cursor


UNFINISHED: Final = Table("unfinished", "unfinished jobs", SQL.take_unfinished, SQL.load_unfinished)
FINISHED: Final = Table("finished", "finished jobs", SQL.take_finished, SQL.load_finished)
QUEUES: Final = Table("queues", "queues", SQL.take_queues, SQL.load_queues)
LOGS: Final = Table("logs", "logs of jobs", SQL.take_logs, SQL.load_logs, ("after", "after_claim"))
UNIQUE_KEYS: Final = Table("unique_keys", "unique keys", SQL.take_unique_keys, SQL.load_unique_keys)
SCHEDULES: Final = Table("schedules", "schedules", SQL.take_schedules, SQL.load_schedules)
TICKS: Final = Table("ticks", "ticks of schedules", SQL.take_ticks, SQL.load_ticks, ("after", "after_at", "after_run"))
BACKFILLS: Final = Table("backfills", "backfills", SQL.take_backfills, SQL.load_backfills)
LIMIT_RULES: Final = Table("limit_rules", "limits", SQL.take_limit_rules, SQL.load_limit_rules)
GATES: Final = Table("gates", "gates of limits", SQL.take_gates, SQL.load_gates)
TURNS: Final = Table(
    "turns", "turns of fair queues", SQL.take_turns_drawn, SQL.load_turns_drawn, ("after", "after_rank", "after_key")
)
LIMIT_COURSE: Final = Table(
    "limit_course", "courses of limits", SQL.take_limit_course, SQL.load_limit_course, ("after", "after_at")
)
TABLES: Final = (
    FINISHED,
    UNFINISHED,
    QUEUES,
    LOGS,
    UNIQUE_KEYS,
    SCHEDULES,
    TICKS,
    BACKFILLS,
    LIMIT_RULES,
    GATES,
    TURNS,
    LIMIT_COURSE,
)
"""Everything that a store keeps but its workers, who belong to where they run, and what they hold there."""

# Where these columns stand in a row of UNFINISHED.
QUEUE, WORKER, CLAIM, ATTEMPT = 1, 8, 9, 10


def take_rows(tx: Tx, table: Table) -> Iterator[Row]:
    """Yield the rows of a table as the transaction's snapshot holds them, a page in memory at a time."""
    for page in take_pages(tx, table):
        yield from page.rows


def take_pages(tx: Tx, table: Table, behind: Cursor = None) -> Iterator[Page]:
    """Yield the rows page by page, from the beginning or from behind an earlier page's end on."""
    width = len(table.cursor)
    cursor: Sequence[object] = behind or [None] * width
    while page := tx.run(table.take, {**dict(zip(table.cursor, cursor, strict=True)), "limit": _PAGE}):
        cursor = page[-1][:width]
        yield Page([row[width:] for row in page], cursor)


def holds_anything(tx: Tx) -> bool:
    """Tell whether a store has anything of its own: schedules of its housekeeping are in every one."""
    others = (table for table in TABLES if table not in (SCHEDULES, TICKS))
    return bool(tx.run(SQL.holds_schedules, {})) or any(next(take_rows(tx, table), None) for table in others)


def remove_schedules(tx: Tx) -> None:
    """Delete the schedules of a store that holds nothing of its own, so that others can be loaded."""
    tx.run(SQL.remove_schedules, {})


def load_rows(tx: CopyTx, table: Table, rows: Iterable[Row]) -> None:
    """Insert the rows into the table of an empty store, as they come."""
    tx.load(table.load, rows)


class Digest:
    """Counts rows and sums up their hashes, so that equal rows in any order, on any engine, give the same sum."""

    def __init__(self, count: int = 0, text: str = "0") -> None:
        """Begin with nothing, or go on from an earlier count and sum."""
        self.count = count
        self._sum = int(text, 16)

    def over(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows and take them in."""
        for row in rows:
            self.count += 1
            hashed = hashlib.blake2b(_encode(row), digest_size=_DIGEST_BYTES).digest()
            self._sum += int.from_bytes(hashed, "big")
            yield row

    @property
    def text(self) -> str:
        """The sum in hexadecimal digits."""
        return f"{self._sum % (1 << 8 * _DIGEST_BYTES):0{2 * _DIGEST_BYTES}x}"
