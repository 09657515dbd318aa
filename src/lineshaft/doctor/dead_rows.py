"""Dead rows that nobody cleans away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

from lineshaft.clock import SECOND
from lineshaft.doctor.ailment import Ailment, Finding, Patient, Remedy
from lineshaft.doctor.wording import size, span
from lineshaft.store.queries import Statements

SQL: Final = Statements("dead_rows", "lineshaft.doctor")

MOST_DEAD: Final = 500_000
"""Several times what a worker at full speed leaves between two of its own vacuums."""


class _Table(NamedTuple):
    """A row of `job_table`."""

    name: str
    dead: int
    live: int
    bytes: int
    seconds: float | None
    has_autovacuum: bool


@dataclass(frozen=True, slots=True)
class DeadRows(Ailment):
    """The live table holds `most` dead rows, and more of them than jobs; or PostgreSQL's own vacuum is off.

    SQLite has none: what it keeps for a reader stands in the log, which `HeldOpen` looks at.
    """

    most: int = MOST_DEAD

    name: ClassVar[str] = "dead-rows"
    remedies: ClassVar = {
        "rows": Remedy(
            "Vacuum does not keep up: claims read past dead rows, and the table grows. Workers vacuum it themselves "
            "while jobs run; none does, or something holds vacuum back.",
            "vacuum (truncate off) TABLE;",
            "Have workers connect as the role that owns the schema, which vacuum asks for, and end what holds it back.",
        ),
        "off": Remedy(
            "Workers vacuum the live table only: the tables of workers, queues and logs grow, and the whole database "
            "stops one day to be saved from transaction ids running out.",
            "alter system set autovacuum = on; select pg_reload_conf();",
            "Leave autovacuum on, for the table too: alter table lineshaft.job reset (autovacuum_enabled);",
        ),
    }

    @property
    def title(self) -> str:
        """How people call it."""
        return "dead rows, autovacuum off"

    def look(self, patient: Patient) -> Iterator[Finding]:
        """Yield what the server's statistics say of the live table."""
        for table in map(_Table._make, patient.run(SQL.job_table)):
            facts = table._asdict()
            if table.dead >= self.most and table.dead > table.live:
                age = "never" if table.seconds is None else f"{span(table.seconds * SECOND)} ago"
                symptom = (
                    f"{table.name} holds {table.dead:,} dead rows beside {table.live:,} live ones in "
                    f"{size(table.bytes)}; last vacuumed {age}"
                )
                yield self.remedies["rows"].finding(self.name, patient, symptom, facts, TABLE=table.name)
            if not table.has_autovacuum:
                symptom = f"autovacuum is off for {table.name}"
                yield self.remedies["off"].finding(self.name, patient, symptom, facts, TABLE=table.name)
