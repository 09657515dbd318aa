"""The disk under the store is about to be full."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import ClassVar, Final
from urllib.parse import urlsplit

from lineshaft.config import parse_store
from lineshaft.doctor.ailment import Ailment, Finding, Patient, Remedy, Unseen
from lineshaft.doctor.wording import size
from lineshaft.store.queries import Statements

SQL: Final = Statements("full_disk", "lineshaft.doctor")

LEAST_BYTES: Final = 1 << 30
"""About what a million jobs write (docs/growth.md): at a thousand a second, a quarter of an hour."""
_SHARE: Final = 10
_LOCAL: Final = ("", "localhost", "127.0.0.1", "::1")
"""The first is a socket in the file system."""


@dataclass(frozen=True, slots=True)
class FullDisk(Ailment):
    """Less than `least_bytes` are free; by default a gibibyte, or a tenth of a volume that is smaller than ten."""

    least_bytes: int | None = None

    name: ClassVar[str] = "disk-almost-full"
    remedies: ClassVar = {
        "volume": Remedy(
            "Where nothing can be written, nothing can be enqueued, claimed or finished: workers stop until there is "
            "room.",
            "du -xh FOLDER | sort -h | tail -n 20",
            "Remove what does not belong there, or grow the volume; keep finished jobs for less long (retention=), and "
            "let nobody hold the log or old rows back.",
        )
    }

    @property
    def title(self) -> str:
        """How people call it."""
        least = "" if self.least_bytes is None else f" (less than {size(self.least_bytes)} left)"
        return f"a disk that is almost full{least}"

    def look(self, patient: Patient) -> Iterator[Finding | Unseen]:
        """Yield the volume of the file, or of the server where that is on this machine and may be asked."""
        if patient.engine.dialect == "postgres":
            yield from self._look_at_server(patient)
        elif path := parse_store(patient.engine.address).path:
            yield from self._look_at(patient, Path(path).parent)

    def _look_at_server(self, patient: Patient) -> Iterator[Finding | Unseen]:
        host = urlsplit(patient.engine.address).hostname or ""
        [(folder, role)] = patient.run(SQL.data_folder)
        if folder and host in _LOCAL and Path(folder).exists():
            yield from self._look_at(patient, Path(folder))
        elif folder:
            yield Unseen(self.name, f"the disk of the server {host}; look there: df -h {quote(folder)}")
        else:
            advice = f'grant pg_read_all_settings to "{role}"; tells its folder, and there: df -h FOLDER'
            yield Unseen(self.name, f"the disk of the server {host}; {advice}")

    def _look_at(self, patient: Patient, folder: Path) -> Iterator[Finding]:
        usage = shutil.disk_usage(folder)
        least = min(LEAST_BYTES, usage.total // _SHARE) if self.least_bytes is None else self.least_bytes
        if usage.free < least:
            symptom = f"the volume of {folder} has {size(usage.free)} left of {size(usage.total)}"
            facts = {"folder": str(folder), "free_bytes": usage.free, "total_bytes": usage.total, "least_bytes": least}
            yield self.remedies["volume"].finding(self.name, patient, symptom, facts, FOLDER=quote(str(folder)))
