"""A store whose schema is newer than the code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from lineshaft.doctor.ailment import Ailment, Finding, Patient, Remedy, Unseen
from lineshaft.errors import SchemaError
from lineshaft.store.migrate import newest, refuse_newer, version


@dataclass(frozen=True, slots=True)
class NewerSchema(Ailment):
    """The store had migrations that this code does not know, and not all of them only added something."""

    name: ClassVar[str] = "newer-schema"
    remedies: ClassVar = {
        "breaking": Remedy(
            "Newer code has migrated the store: no process of the version that is installed here can start on it any "
            "more.",
            "pip install --upgrade lineshaft",
            "Deploy one version everywhere; to go back, restore a backup that the older version wrote.",
        )
    }

    @property
    def title(self) -> str:
        """How people call it."""
        return "a newer schema"

    def look(self, patient: Patient) -> Iterator[Finding | Unseen]:
        """Yield by how much the store is newer; what was only added to it is no fault, but not known here either."""
        done, known = version(patient.engine), newest(patient.engine.dialect)
        try:
            refuse_newer(patient.engine, done)
        except SchemaError:
            symptom = f"the store has schema {done}, this version of Lineshaft knows up to {known}"
            yield self.remedies["breaking"].finding(self.name, patient, symptom, {"schema": done, "known": known})
            return
        if done > known:
            yield Unseen(self.name, f"what schema {done} added: this version of Lineshaft knows up to {known}")
