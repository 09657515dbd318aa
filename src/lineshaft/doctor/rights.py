"""What the connected role may not do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

from lineshaft.config import parse_store
from lineshaft.doctor.ailment import Ailment, Finding, Patient, Remedy
from lineshaft.doctor.wording import sql_name
from lineshaft.store.queries import Statements

SQL: Final = Statements("rights", "lineshaft.doctor")


class _Rights(NamedTuple):
    """A row of `rights`."""

    role: str
    owner: str
    may_look_in: bool
    may_create: bool
    not_owned: int
    closed: str
    """The tables that it may not read or write."""


@dataclass(frozen=True, slots=True)
class Rights(Ailment):
    """The role may not use the tables, or does not own them: after a restore by another role, or by accident."""

    name: ClassVar[str] = "missing-rights"
    remedies: ClassVar = {
        "closed": Remedy(
            "Whatever touches these tables fails with 'permission denied'.",
            "grant usage on schema SCHEMA to ROLE; grant select, insert, update, delete on all tables in schema "
            "SCHEMA to ROLE;",
            "Run 'alter default privileges' for the owner as well, so that tables to come are open to it.",
        ),
        "not owner": Remedy(
            "Only the owner can upgrade the schema, vacuum the live table, and make and drop the history's days: a "
            "worker of this role lets tables grow. A role that only enqueues and looks needs no more than it has.",
            "grant OWNER to ROLE;",
            "Have workers, 'migrate' and the doctor connect as the owner; after a dump was restored, give the tables "
            "to it (reassign owned by).",
        ),
    }

    @property
    def title(self) -> str:
        """How people call it."""
        return "missing rights"

    def look(self, patient: Patient) -> Iterator[Finding]:
        """Yield what the role lacks on PostgreSQL; a file that may not be written is an error by itself."""
        schema = parse_store(patient.engine.address).schema
        for row in patient.run(SQL.rights, schema=schema):
            yield from self._judge(patient, schema, _Rights._make(row))

    def _judge(self, patient: Patient, schema: str, found: _Rights) -> Iterator[Finding]:
        words = {"SCHEMA": sql_name(schema), "ROLE": sql_name(found.role), "OWNER": sql_name(found.owner)}
        facts = {"schema": schema, **found._asdict()}
        if not found.may_look_in or found.closed:
            what = f"tables {found.closed}" if found.may_look_in else "anything"
            symptom = f"role {found.role!r} may not use {what} of schema {schema!r}, which {found.owner!r} owns"
            yield self.remedies["closed"].finding(self.name, patient, symptom, facts, **words)
        elif found.not_owned or not found.may_create:
            symptom = f"role {found.role!r} does not own schema {schema!r}: {found.owner!r} does"
            yield self.remedies["not owner"].finding(self.name, patient, symptom, facts, **words)
