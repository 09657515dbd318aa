"""The form of a diagnosis."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from lineshaft.config import Settings
from lineshaft.engines.base import Engine, Row, Statement

PROGRAM: Final = "lineshaft"
APP: Final = "lineshaft --app MODULE:NAME"
"""How the commands of a cure begin: those that need an app begin with the second."""


@dataclass(frozen=True, slots=True)
class Patient:
    """A store that is looked over, and what is known of the app that uses it."""

    engine: Engine
    settings: Settings
    tasks: frozenset[str] = frozenset()
    """The names of the app's tasks; none where no app was found."""
    program: str = PROGRAM
    """How a command line that acts on this store begins."""
    app_program: str = APP
    """How one begins that needs the app, too."""

    def run(self, statement: Statement, **params: Any) -> list[Row]:
        """Run a statement that only reads, in a transaction of its own; raises `StoreError`."""
        return self.engine.read(lambda tx: tx.run(statement, params))

    def now(self) -> int:
        """Return the store's present instant, in microseconds."""
        return self.engine.clock.now()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something is wrong."""

    ailment: str
    """The ailment's name."""
    symptom: str
    """What is seen, with its numbers, in one line."""
    cause: str
    """Why it hurts."""
    command: str
    """The line that ends it now, to be pasted into a shell or into psql."""
    advice: str
    """What to change so that it does not come back."""
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    """The symptom's parts, for programs."""


@dataclass(frozen=True, slots=True)
class Unseen:
    """Something could not be looked at: the ailment's name, and why."""

    ailment: str
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was found in one store, the gravest first."""

    store: str
    looked_for: list[str]
    findings: list[Finding]
    unseen: list[Unseen]

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong, as far as it could be seen."""
        return not self.findings


@dataclass(frozen=True, slots=True)
class Remedy:
    """Why something hurts and what helps, in the words of docs/troubleshooting.md.

    Words in capitals in the command stand for what is found.
    """

    cause: str
    command: str
    advice: str

    def finding(self, ailment: str, patient: Patient, symptom: str, facts: dict[str, Any], **words: object) -> Finding:
        """Return a finding whose command has `words` in place of its capitals, as a shell or psql takes them."""
        return Finding(ailment, symptom, self.cause, self._command(patient, words), self.advice, facts)

    def _command(self, patient: Patient, words: Mapping[str, object]) -> str:
        start, program = (APP, patient.app_program) if self.command.startswith(APP) else (PROGRAM, patient.program)
        known = rf"^{start}\b|\b(?:{'|'.join(words)})\b" if words else rf"^{start}\b"
        return re.sub(known, lambda found: str(words.get(found[0], program)), self.command)


class Ailment(ABC):
    """One thing that may be wrong with a store."""

    name: ClassVar[str]
    """How programs call it."""
    remedies: ClassVar[Mapping[str, Remedy]]
    """What is said of each kind of it."""

    @property
    @abstractmethod
    def title(self) -> str:
        """How people call it."""

    @abstractmethod
    def look(self, patient: Patient) -> Iterator[Finding | Unseen]:
        """Yield what is wrong, and what could not be seen; raises `StoreError` when the store does not answer."""
