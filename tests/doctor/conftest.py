"""A store that is looked over, the workers of `work.py` on it, and cures that are run as they are printed."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft.cli import main
from lineshaft.config import load_settings
from lineshaft.doctor import Ailment, Finding, Patient, Unseen, ailments, examine
from tests.doctor.work import QUICK
from tests.plugins.apps import LIMIT, Process, StartProcess, eventually, unmeasured
from tests.plugins.engines import new_row, store_rows

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine

ROOT = Path(__file__).parents[2]
APP = "tests.doctor.work:app"


def patient_of(engine: Engine, url: str = "memory://") -> Patient:
    """Return a store as it is looked over, with commands that name it."""
    store = f"--store {shlex.quote(url)}"
    return Patient(
        engine, load_settings(QUICK, {}), program=f"lineshaft {store}", app_program=f"lineshaft --app {APP} {store}"
    )


@dataclass
class Ward:
    """A store, what is wrong with it, and what can be done about that."""

    patient: Patient
    url: str
    start_process: StartProcess
    cures: list[subprocess.Popen[bytes]]

    @property
    def engine(self) -> Engine:
        """The store's engine."""
        return self.patient.engine

    def found(self, ailment: Ailment) -> list[Finding]:
        """Return what is wrong of one kind."""
        return [one for one in ailment.look(self.patient) if isinstance(one, Finding)]

    def unseen(self, ailment: Ailment) -> list[Unseen]:
        """Return what cannot be seen of one kind."""
        return [one for one in ailment.look(self.patient) if isinstance(one, Unseen)]

    def comes(self, ailment: Ailment, limit: float = LIMIT) -> Finding:
        """Wait until one thing is wrong and return it."""
        [found] = eventually(lambda: self.found(ailment), limit)
        return found

    def goes(self, ailment: Ailment) -> None:
        """Wait until nothing of this kind is wrong any more."""
        eventually(lambda: not self.found(ailment))

    def everything(self, **bounds: Any) -> list[str]:
        """Return all that is wrong."""
        return [f"{one.ailment}: {one.symptom}" for one in examine(self.patient, ailments(**bounds)).findings]

    def enqueue(self, name: str = "work.hold", queue: str = "pdf", *args: str, **columns: Any) -> str:
        """Store a job that has been due for two minutes, unless the columns say otherwise, and return its id."""
        ago = self.patient.now() - 120_000_000
        listed = ", ".join(f'"{one}"' for one in args)
        given = {"run_at": ago, "created_at": ago, "args": f"[[{listed}],{{}}]", **columns}
        row = new_row(name=name, queue=queue, **given)
        store_rows(self.engine, row)
        return row["id"]

    def worker(self, queues: str, **environment: str) -> Process:
        """Start a worker and wait until it is up."""
        process = self.start_process(
            ROOT / "tests" / "doctor" / "work.py", queues,
            **{"LINESHAFT_STORE": self.url, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", **environment},
        )  # fmt: skip
        process.expect("ready")
        return process

    def cure(self, finding: Finding) -> None:
        """Run a finding's command as it was printed: in a shell, and a worker until the test ends."""
        starts_worker = " worker " in f"{finding.command} "
        if not starts_worker and finding.command.startswith("lineshaft"):
            assert main(shlex.split(finding.command)[1:]) == 0
            return
        program = f"{shlex.quote(sys.executable)} -m lineshaft"
        line = finding.command.replace("lineshaft", program, 1)
        environment = {**unmeasured(), "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
        started = subprocess.Popen(["/bin/sh", "-c", f"exec {line}"], cwd=ROOT, env=environment, stdout=subprocess.PIPE)
        self.cures.append(started)
        if not starts_worker:
            assert started.wait(LIMIT) == 0

    def lenient(self) -> Ward:
        """Return the same store by the default settings: a worker on a busy machine may be silent for seconds."""
        return replace(self, patient=replace(self.patient, settings=load_settings({}, {})))

    def knowing(self, *tasks: str) -> Ward:
        """Return the same store as an app sees it that has these tasks."""
        return replace(self, patient=replace(self.patient, tasks=frozenset(tasks)))


@pytest.fixture
def ward(durable_engine: Engine, address: str, start_process: StartProcess) -> Iterator[Ward]:
    """A store on each engine in turn."""
    yield from _ward(durable_engine, address, start_process)


@pytest.fixture
def postgres_ward(postgres_engine: Engine, postgres_url: str, start_process: StartProcess) -> Iterator[Ward]:
    """A store on PostgreSQL."""
    yield from _ward(postgres_engine, postgres_url, start_process)


@pytest.fixture
def sqlite_ward(sqlite_engine: Engine, start_process: StartProcess) -> Iterator[Ward]:
    """A store in a SQLite file."""
    yield from _ward(sqlite_engine, sqlite_engine.address, start_process)


def _ward(engine: Engine, url: str, start_process: StartProcess) -> Iterator[Ward]:
    found = Ward(patient_of(engine, url), url, start_process, [])
    yield found
    for one in found.cures:
        one.send_signal(signal.SIGKILL)
        one.wait(LIMIT)
        if one.stdout is not None:
            one.stdout.close()


Change = Callable[[str], None]


@pytest.fixture
def change(ward: Ward) -> Change:
    """Changes rows of the store past its operations; a statement calls tables as SQLite does."""

    def run(text: str) -> None:
        with ward.engine.migrating() as tx:
            tx.run_script((text if tx.dialect == "sqlite" else text.replace("lineshaft_", "lineshaft.")) + ";\n")

    return run
