"""A store whose schema is older than the code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from lineshaft.doctor.ailment import Ailment, Finding, Patient, Remedy
from lineshaft.store.migrate import migrations, version

_CAUSE = "The store has not had every migration of this version: code of this version refuses it until it has."


@dataclass(frozen=True, slots=True)
class OldSchema(Ailment):
    """The store lacks migrations that this code knows."""

    name: ClassVar[str] = "old-schema"
    remedies: ClassVar = {
        "additive": Remedy(
            _CAUSE,
            "lineshaft migrate",
            "Migrate before new code starts, as a step of each deploy; what runs and starts of the version before "
            "goes on.",
        ),
        "breaking": Remedy(
            _CAUSE,
            "lineshaft migrate",
            "Migrate before new code starts, as a step of each deploy; processes of the version before that start "
            "after it refuse the store, so replace them soon.",
        ),
    }

    @property
    def title(self) -> str:
        """How people call it."""
        return "an old schema"

    def look(self, patient: Patient) -> Iterator[Finding]:
        """Yield how far the store is behind."""
        done = version(patient.engine)
        missing = [one for one in migrations(patient.engine.dialect) if one.number > done]
        if missing:
            symptom = f"the store has schema {done}, this version of Lineshaft needs {missing[-1].number}"
            kind = "additive" if all(one.is_additive for one in missing) else "breaking"
            facts = {"schema": done, "known": missing[-1].number, "kind": kind}
            yield self.remedies[kind].finding(self.name, patient, symptom, facts)
