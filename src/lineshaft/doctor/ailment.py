"""The form of a diagnosis."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from lineshaft.engines.base import Engine


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
    facts: dict[str, Any] = field(default_factory=dict)
    """The symptom's parts, for programs."""


@dataclass(frozen=True, slots=True)
class Unseen:
    """Something could not be looked at: the ailment's name, and why."""

    ailment: str
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was found in one store."""

    store: str
    looked_for: list[str]
    findings: list[Finding]
    unseen: list[Unseen]

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong, as far as it could be seen."""
        return not self.findings


class Ailment(ABC):
    """One thing that may be wrong with a store."""

    name: ClassVar[str]
    """How programs call it."""

    @property
    @abstractmethod
    def title(self) -> str:
        """How people call it."""

    @abstractmethod
    def look(self, engine: Engine) -> Iterator[Finding | Unseen]:
        """Yield what is wrong, and what could not be seen; raises `StoreError` when the store does not answer."""
