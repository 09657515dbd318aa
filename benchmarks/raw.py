"""What a database itself can do: the bare SQL of a durable job in a loop, with nothing around it.

One connection; a one-row insert that is committed, a bulk insert of 1,000 rows (`executemany` on SQLite, COPY on
PostgreSQL), and claim and finish fused in one transaction with batches of 100. Tables and statements stand in
`raw.sqlite.sql` and `raw.postgres.sql`. The rows are made before the clock starts.

Usage: python -m benchmarks.raw STORE SECONDS, where STORE is an address as Lineshaft takes it;
prints one JSON object.
"""

from __future__ import annotations

import json
import re
import sqlite3
import sys
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from itertools import count as count_up
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import psycopg

from benchmarks.harness.figures import latency, rate

BATCH: Final = 100
CHUNK: Final = 1_000
MOST_ROWS: Final = 100_000
ARGS: Final = "[[1],{}]"
RESULT: Final = "1"

_SQLITE: Final = (  # those of Lineshaft's own connections, and the durability of its default
    "pragma journal_mode = wal",
    "pragma synchronous = normal",
    "pragma cache_size = -16384",
    "pragma mmap_size = 268435456",
    "pragma temp_store = memory",
    "pragma wal_autocheckpoint = 16000",
)
_POSTGRES: Final = ("set plan_cache_mode = force_generic_plan", "set enable_seqscan = off", "set jit = off")

NewRow = tuple[Any, int, int, str]
Claimed = Sequence[Any]
"""A claimed row: its key, its claim number, the task's name and arguments."""


class Bare(ABC):
    """One database, driven by its bare statements."""

    dialect: str

    def __init__(self) -> None:
        self.sql = statements(Path(__file__).with_name(f"raw.{self.dialect}.sql").read_text("utf-8"))

    @abstractmethod
    def make_id(self, number: int) -> Any:
        """Return the id of the row of this number, growing with it as a UUIDv7 does."""

    @abstractmethod
    def insert(self, row: NewRow) -> None:
        """Store one row and commit."""

    @abstractmethod
    def insert_many(self, rows: Sequence[NewRow]) -> None:
        """Store rows in one transaction."""

    @abstractmethod
    def finish_and_claim(self, running: Sequence[Claimed], limit: int) -> Sequence[Claimed]:
        """Finish the running jobs and claim the next ones in one transaction."""


class BareSqlite(Bare):
    """SQLite through the standard library's module."""

    dialect = "sqlite"

    def __init__(self, path: str) -> None:
        super().__init__()
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in _SQLITE:
            self._connection.execute(pragma).fetchall()
        self._connection.executescript(self.sql["create"])

    def make_id(self, number: int) -> str:
        """Return the id as text."""
        return str(uuid.UUID(int=_spread(number)))

    def insert(self, row: NewRow) -> None:
        """Store one row; without a transaction around it, it commits itself."""
        self._connection.execute(self.sql["insert"], row)

    def insert_many(self, rows: Sequence[NewRow]) -> None:
        """Store rows in one transaction."""
        self._connection.execute("begin immediate")
        self._connection.executemany(self.sql["insert"], rows)
        self._connection.execute("commit")

    def finish_and_claim(self, running: Sequence[Claimed], limit: int) -> Sequence[Claimed]:
        """Finish the running jobs and claim the next ones in one transaction."""
        self._connection.execute("begin immediate")
        if running:
            rows = json.dumps([(seq, claim, RESULT) for seq, claim, *_ in running])
            self._connection.execute(self.sql["finish"], (_now(), rows))
        claimed = self._connection.execute(self.sql["claim"], (_now(), limit)).fetchall()
        self._connection.execute("commit")
        return claimed


class BarePostgres(Bare):
    """PostgreSQL through psycopg, statements prepared, values binary."""

    dialect = "postgres"

    def __init__(self, url: str) -> None:
        super().__init__()
        self._connection = psycopg.connect(url, autocommit=True, prepare_threshold=0)
        for setting in _POSTGRES:
            self._connection.execute(setting, prepare=False)
        self._connection.execute(self.sql["create"].encode(), prepare=False)

    def make_id(self, number: int) -> uuid.UUID:
        """Return the id."""
        return uuid.UUID(int=_spread(number))

    def insert(self, row: NewRow) -> None:
        """Store one row; without a transaction around it, it commits itself."""
        self._run("insert", row)

    def insert_many(self, rows: Sequence[NewRow]) -> None:
        """Store rows in one transaction."""
        with self._connection.cursor() as cursor, cursor.copy(self.sql["copy"].encode()) as copy:
            for key, run_at, created_at, args in rows:
                copy.write_row((key, "bench", "noop", 0, run_at, 1, created_at, 3, args))

    def finish_and_claim(self, running: Sequence[Claimed], limit: int) -> Sequence[Claimed]:
        """Finish the running jobs and claim the next ones in one transaction."""
        self._connection.execute("begin")
        if running:
            self._run("finish", self._finish_parameters(running))
        claimed = self._run("claim", (_now(), limit)).fetchall()
        self._connection.execute("commit")
        return claimed

    def _finish_parameters(self, running: Sequence[Claimed]) -> dict[str, Any]:
        ordered = sorted(running, key=itemgetter(0))  # width_bucket searches a sorted array
        ids, claims = [row[0] for row in ordered], [row[1] for row in ordered]
        return {"id": ids, "claim": claims, "result": [RESULT] * len(ordered), "now": _now()}

    def _run(self, name: str, parameters: Sequence[Any] | dict[str, Any]) -> psycopg.Cursor[Any]:
        return self._connection.execute(self.sql[name].encode(), parameters, binary=True)


def measure(bare: Bare, seconds: float) -> dict[str, float]:
    """Return the limits as a peer's figures are called, each measured for about `seconds`."""
    rows = _rows(bare)
    warm_up = [next(rows) for _ in range(BATCH)]
    bare.insert_many(warm_up)
    single = _time_singles(bare, rows, seconds)
    bulk = _time(bare.insert_many, _chunks(rows, MOST_ROWS // CHUNK), seconds)
    loop = _time_loop(bare, seconds)
    return single | {"bulk_per_second": bulk, "drain_one": loop}


def statements(text: str) -> dict[str, str]:
    """Return the statements of a `.sql` file by name."""
    pieces = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    return {name: body.strip().removesuffix(";") for name, body in zip(pieces[1::2], pieces[2::2], strict=True)}


def _time_singles(bare: Bare, rows: Iterator[NewRow], seconds: float) -> dict[str, float]:
    made = [next(rows) for _ in range(MOST_ROWS)]
    took, before = [], time.monotonic_ns()
    end = before + int(seconds * 1e9)
    for row in made:
        bare.insert(row)
        now = time.monotonic_ns()
        took.append(now - before)
        before = now
        if now > end:
            break
    each = latency(took)
    return {
        "single_per_second": rate(len(took), sum(took) / 1e9),
        "single_p50_ms": each.p50_ms,
        "single_p99_ms": each.p99_ms,
    }


def _time(store: Callable[[Sequence[NewRow]], None], chunks: Iterator[list[NewRow]], seconds: float) -> float:
    done, took = 0, 0
    for chunk in chunks:
        before = time.monotonic_ns()
        store(chunk)
        took += time.monotonic_ns() - before
        done += len(chunk)
        if took > seconds * 1e9:
            break
    return rate(done, took / 1e9)


def _time_loop(bare: Bare, seconds: float) -> float:
    running: Sequence[Claimed] = []
    done, before = 0, time.monotonic()
    while (took := time.monotonic() - before) < seconds:
        running = bare.finish_and_claim(running, BATCH)
        if not running:
            break
        done += len(running)
    return rate(done, took)


def _rows(bare: Bare) -> Iterator[NewRow]:
    for number in count_up():
        now = _now()
        yield bare.make_id(number), now, now, ARGS


def _chunks(rows: Iterator[NewRow], count: int) -> Iterator[list[NewRow]]:
    return ([next(rows) for _ in range(CHUNK)] for _ in range(count))


def _spread(number: int) -> int:
    """Return 128 bits that grow with the number and end in noise, as ids that carry their time do."""
    return ((time.time_ns() // 1_000_000) << 80) + (number << 48) + (number * 0x9E3779B1 & 0xFFFFFFFF)


def _now() -> int:
    return time.time_ns() // 1_000


def main(store: str, seconds: float) -> None:
    """Measure one store and print its limits."""
    bare = BarePostgres(store) if store.startswith("postgres") else BareSqlite(store.removeprefix("sqlite:///"))
    print(json.dumps(measure(bare, seconds)))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
