"""Wake-ups that do not arrive: everything works, and starts up to a second late."""

from __future__ import annotations

import re
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import ClassVar, Final

from lineshaft.doctor.ailment import Ailment, Finding, Patient, Remedy, Unseen
from lineshaft.doctor.crew import live_workers
from lineshaft.errors import StoreUnavailableError
from lineshaft.store.queries import Statements

SQL: Final = Statements("wake_ups", "lineshaft.doctor")

_SOCKETS: Final = Path("/proc/net/unix")
_BELL: Final = re.compile(r"/.*/lineshaft-\d+-\w+/worker-(\d+)-\w+$")
_LATE: Final = (
    "Wake-ups are lost: workers look by themselves once a second, so jobs and results come up to a second late."
)


@dataclass(frozen=True, slots=True)
class WakeUps(Ailment):
    """What is rung is not heard: within `patience` seconds by this process, or by a worker of this host on SQLite."""

    patience: float = 2.0

    name: ClassVar[str] = "lost-wake-ups"
    remedies: ClassVar = {
        "deaf": Remedy(
            _LATE,
            "lineshaft --store 'postgresql://ROLE@POOLER/DATABASE?listen_url=postgresql://ROLE@SERVER/DATABASE' doctor",
            "Where the address goes through a pooler in transaction mode, give it a listen_url that goes past it, to "
            "the same database.",
        ),
        "no folder": Remedy(
            _LATE,
            "export TMPDIR=/tmp",
            "Give every process of the store the same temporary directory: one that it may write to, with a short "
            "path.",
        ),
        "other folder": Remedy(
            _LATE,
            "export TMPDIR=FOLDER",
            "Give every process of the store the same temporary directory; a private one (PrivateTmp= of systemd, "
            "another container) has the same name and is another.",
        ),
    }

    @property
    def title(self) -> str:
        """How people call it."""
        return "lost wake-ups"

    def look(self, patient: Patient) -> Iterator[Finding | Unseen]:
        """Ring once, as the end of a job does, and yield who does not hear it."""
        try:
            is_heard = self._is_heard(patient)
        except OSError as error:
            symptom = f"nobody can listen for wake-ups in {tempfile.gettempdir()}: {error}"
            yield self.remedies["no folder"].finding(self.name, patient, symptom, {"kind": "no folder"})
            return
        except StoreUnavailableError as error:  # a server that only reads; where it is gone, other looks tell
            yield Unseen(self.name, f"wake-ups: {error}")
            return
        if not is_heard:
            symptom = f"a notification did not come back within {self.patience:g} s"
            yield self.remedies["deaf"].finding(self.name, patient, symptom, {"kind": "deaf"})
        if patient.engine.dialect == "sqlite" and not patient.engine.is_ephemeral:
            yield from self._elsewhere(patient)

    def _is_heard(self, patient: Patient) -> bool:
        listener = patient.engine.listen("waiter")
        try:
            patient.engine.write(lambda tx: tx.run(SQL.ring, {}))
            return bool(listener.receive(self.patience))
        finally:
            listener.close()

    def _elsewhere(self, patient: Patient) -> Iterator[Finding]:
        """Yield each worker of this host whose bell hangs where this process does not ring."""
        here, bells = Path(tempfile.gettempdir()), _bells()
        for worker in live_workers(patient):
            found = bells.get(worker.pid, []) if worker.host == socket.gethostname() else []
            if found and not any(one.exists() and one.parents[1] == here for one in found):
                folder = found[0].parents[1]
                symptom = (
                    f"worker {worker.id} (process {worker.pid}) listens in its {folder}, this process rings in {here}"
                )
                facts = {"kind": "other folder", "worker": worker.id, "pid": worker.pid, "folder": str(folder)}
                words = {"FOLDER": quote(str(folder))}
                yield self.remedies["other folder"].finding(self.name, patient, symptom, facts, **words)


def _bells() -> dict[int, list[Path]]:
    """Return the sockets at which each process of this host listens for jobs."""
    try:
        lines = _SOCKETS.read_text("utf-8", "replace").splitlines()
    except OSError:  # a system without /proc
        return {}
    bells: dict[int, list[Path]] = {}
    for found in filter(None, map(_BELL.search, lines)):
        bells.setdefault(int(found[1]), []).append(Path(found[0]))
    return bells
