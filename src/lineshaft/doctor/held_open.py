"""A transaction that somebody holds open: what died since it began cannot be cleaned away, and every claim reads it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import ClassVar, Final, NamedTuple

from lineshaft.clock import SECOND, to_text
from lineshaft.config import parse_store
from lineshaft.doctor.ailment import Ailment, Finding, Patient, Remedy, Unseen
from lineshaft.doctor.readers import Reader, find_readers
from lineshaft.doctor.wording import size, sql_text
from lineshaft.engines.base import Engine
from lineshaft.store.queries import Statements

LONGEST_SECONDS: Final = 60.0
_LOOKS: Final = 4

SQL: Final = Statements("held_open", "lineshaft.doctor")

_OLD_ROWS: Final = (
    "Vacuum cannot remove rows that died after an open transaction began: the table of live jobs grows, "
    "and claims have to read past its dead rows."
)
_OLD_LOG: Final = (
    "SQLite cannot start its log anew while somebody reads an old state of the file: the log grows, and every reader "
    "has more to look through."
)
_READ_ON: Final = (
    "Have the program read its rows to the end and commit or close the connection before it does other work."
)


class _Held(NamedTuple):
    """A row of `open_transactions`."""

    kind: str
    id: str
    application: str
    user: str
    state: str
    seconds: float | None
    query: str


class _Log(NamedTuple):
    """An answer of `move_log`; the numbers are pages."""

    is_disturbed: int
    pages: int
    moved: int

    @property
    def left(self) -> int:
        """How many pages wait in the log."""
        return self.pages - self.moved


@dataclass(frozen=True, slots=True)
class HeldOpen(Ailment):
    """A transaction of somebody else is open for long.

    On PostgreSQL: for more than `longest_seconds`. SQLite tells no times: there it is a reader that keeps `left_pages`
    pages or more in the log, none of which can be moved, for all of `watch_seconds`; up to 16,000 are usual.
    """

    longest_seconds: float = LONGEST_SECONDS
    left_pages: int = 4_000
    watch_seconds: float = 1.0

    name: ClassVar[str] = "transaction-held-open"
    remedies: ClassVar = {
        "idle": Remedy(
            _OLD_ROWS,
            "select pg_terminate_backend(PID);",
            "Have the application commit before it waits for anything else, and set "
            "idle_in_transaction_session_timeout for its role.",
        ),
        "active": Remedy(
            _OLD_ROWS,
            "select pg_terminate_backend(PID);",
            "Have the statement work in smaller pieces or on a replica, and set statement_timeout for its role.",
        ),
        "prepared": Remedy(
            _OLD_ROWS,
            "rollback prepared NAME;",
            "Have the transaction manager finish what it prepared, or set max_prepared_transactions = 0.",
        ),
        "slot": Remedy(
            _OLD_ROWS,
            "select pg_drop_replication_slot(NAME);",
            "Bring the replica back, or drop its slot; a bound is hot_standby_feedback = off on the replica.",
        ),
        "reader": Remedy(_OLD_LOG, "kill PIDS", _READ_ON),
        "unknown reader": Remedy(_OLD_LOG, "fuser -v LOG", _READ_ON),
    }

    @property
    def title(self) -> str:
        """How people call it."""
        return f"a transaction held open for more than {_span(self.longest_seconds)}"

    def look(self, patient: Patient) -> Iterator[Finding | Unseen]:
        """Yield each transaction on PostgreSQL, and the log that is held back on SQLite."""
        for row in patient.run(SQL.open_transactions, seconds=self.longest_seconds):
            yield self._transaction(patient, _Held._make(row))
        [(may_see, role)] = patient.run(SQL.may_see_others)
        if not may_see:
            yield Unseen(self.name, f'transactions of other roles; run: grant pg_read_all_stats to "{role}";')
        yield from self._held_log(patient)

    def _transaction(self, patient: Patient, held: _Held) -> Finding:
        facts = {key: value for key, value in held._asdict().items() if value not in ("", None)}
        match held.kind:
            case "session":
                kind = "active" if held.state == "active" else "idle"
                symptom = _symptom(held)
                facts["pid"] = int(facts.pop("id"))
            case "prepared":
                kind = "prepared"
                symptom = f"{held.user!r} prepared transaction {held.id!r} {_span(held.seconds)} ago and did not end it"
            case _:
                kind = "slot"
                symptom = f"replication slot {held.id!r} keeps old rows for a replica that is not connected"
        words = {"PID": held.id, "NAME": sql_text(held.id)}
        return self.remedies[kind].finding(self.name, patient, symptom, facts, **words)

    def _held_log(self, patient: Patient) -> Iterator[Finding]:
        engine = patient.engine
        path = parse_store(engine.address).path if engine.dialect == "sqlite" else None
        if path is None:
            return
        shared = Path(f"{path}-shm")
        first = log = _move_log(engine)
        readers = find_readers(shared)
        for _ in range(_LOOKS):
            time.sleep(self.watch_seconds / _LOOKS)
            log = _move_log(engine)
            if log.is_disturbed or log.moved != first.moved or log.left < self.left_pages:
                return
            readers = [one for one in find_readers(shared) if one in readers]
        yield self._log(patient, Path(f"{path}-wal"), log, readers)

    def _log(self, patient: Patient, path: Path, log: _Log, readers: list[Reader]) -> Finding:
        length = path.stat().st_size
        whose = ", ".join(map(str, readers)) or "a process that cannot be named here"
        symptom = (
            f"{path} has {size(length)}, and {log.left:,} of its {log.pages:,} pages cannot be moved into the "
            f"file: {whose} has been reading an old state for more than {_span(self.watch_seconds)}"
        )
        words = {"PIDS": " ".join(str(one.pid) for one in readers), "LOG": quote(str(path))}
        facts = {
            "kind": "log", "path": str(path), "bytes": length, "pages": log.pages, "pages_left": log.left,
            "readers": [one._asdict() for one in readers],
        }  # fmt: skip
        kind = "reader" if readers else "unknown reader"
        return self.remedies[kind].finding(self.name, patient, symptom, facts, **words)


def _move_log(engine: Engine) -> _Log:
    # In a transaction that has not begun to read yet: SQLite refuses to move the log for one that has.
    return _Log._make(engine.read(lambda tx: tx.run(SQL.move_log, {}))[0])


def _symptom(held: _Held) -> str:
    application = f"application {held.application!r}" if held.application else "no application name"
    doing = f"is {held.state}" if held.state else "does what this role may not see"
    query = " ".join(held.query.split())
    return (
        f"session {held.id} ({application}, user {held.user!r}) has held a transaction open for {_span(held.seconds)}; "
        f"it {doing}, its last statement: {query or 'unknown'}"
    )


def _span(seconds: float | None) -> str:
    return to_text(round(seconds or 0) * SECOND)
