"""The doctor raises no alarm where nothing is wrong, and looks a large store over as quickly as a small one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from benchmarks.load.filling import Filler
from lineshaft import Lineshaft
from lineshaft.backup import back_up, restore
from lineshaft.clock import DAY, HOUR
from lineshaft.doctor import (
    ahead,
    ailments,
    clock_skew,
    dead_workers,
    examine,
    long_pause,
    no_worker,
    poison,
    unknown_tasks,
)
from lineshaft.doctor.wording import MOST
from lineshaft.store.control import resume_queue
from lineshaft.transitions import Stage
from tests.backup.test_backup import Quiet
from tests.conformance.plan_cases import Case
from tests.conformance.test_plans import PostgresPlans, SqlitePlans
from tests.doctor.conftest import patient_of
from tests.plugins.engines import open_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lineshaft.engines.base import Engine
    from lineshaft.engines.postgres import PostgresEngine
    from tests.doctor.conftest import Ward

JOBS = 400


def keep_busy(ward: Ward, count: int) -> None:
    """Store jobs of every kind: some wait for long, some fail and are put off, some are not due."""
    later = ward.patient.now() + HOUR
    for number in range(count // 4):
        ward.enqueue("work.hold", "pdf", str(number))
        ward.enqueue("work.block", "default", str(number))
        ward.enqueue("work.fail", "default")
        ward.enqueue("work.hold", "pdf", str(number), stage=int(Stage.SCHEDULED), run_at=later)


def test_busy_store(ward: Ward, make_app: Callable[..., Lineshaft]) -> None:
    """While two workers take a backlog off, and when they have, nothing is wrong."""
    keep_busy(ward, JOBS)
    app = make_app(ward.url)
    for _ in range(2):
        ward.worker("pdf:2,default:4")
    lenient, looks = ward.lenient(), 0
    while app.jobs.count(state="queued") or not looks:
        assert lenient.everything() == []
        looks += 1
    assert app.jobs.count(state="completed") == JOBS // 2
    assert lenient.everything(waiting=0) == []


@pytest.fixture(params=["sqlite", "postgres"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty store without a schema, on each engine in turn."""
    is_sqlite = request.param == "sqlite"
    address = f"sqlite:///{tmp_path / 'target.db'}" if is_sqlite else request.getfixturevalue("other_postgres_url")
    engine = open_engine(address)
    yield engine
    engine.close()


def test_restored_backup(ward: Ward, target: Engine, tmp_path: Path) -> None:
    """A backup that was made while workers ran restores to a store that is sound, paused as it is and resumed."""
    keep_busy(ward, JOBS)
    ward.worker("pdf:2,default:4")
    manifest = back_up(ward.engine, tmp_path / "jobs.backup", Quiet())
    assert manifest.tables["unfinished"].count >= JOBS // 2, "it was made before the work was done"
    restored = restore(target, tmp_path / "jobs.backup", resumes=False, watcher=Quiet())
    assert {"default", "pdf"} <= set(restored.paused)
    patient = patient_of(target)
    assert examine(patient, ailments()).findings == []
    for queue in restored.paused:
        target.write(lambda tx, queue=queue: resume_queue(tx, queue))
    assert {one.ailment for one in examine(patient, ailments()).findings} <= {"no-worker"}
    assert examine(patient, ailments(waiting=DAY)).findings == []


# --- how much is looked at --------------------------------------------------------------------------------------------

MODULES = (ahead, clock_skew, dead_workers, long_pause, no_worker, poison, unknown_tasks)


def cases(now: int) -> dict[str, Case]:
    """Return every statement that reads jobs, as it is run."""
    given = {"queue": "default", "worker": 7, "until": now + DAY, "since": now - DAY, "most": MOST}
    return {name: Case(one, given) for module in MODULES for name, one in module.SQL.by_name.items()}


def test_large_store(durable_engine: Engine) -> None:
    """Of 200,000 waiting and 100,000 finished jobs no look reads a table as a whole, or more than some 1,000 rows."""
    filler = Filler(durable_engine)
    filler.add_finished(100_000)
    filler.add_waiting(200_000)
    now = patient_of(durable_engine).now()
    found = _faults_on_sqlite if durable_engine.dialect == "sqlite" else _faults_on_postgres
    wrong = {name: faults for name, faults in found(durable_engine, cases(now)).items() if faults}
    assert wrong == {}


def _faults_on_sqlite(engine: Engine, wanted: dict[str, Case]) -> dict[str, Any]:
    plans = SqlitePlans(engine)
    return {name: [one for one in plans.faults(case) if "GROUP BY" not in one] for name, case in wanted.items()}


def _faults_on_postgres(engine: Engine, wanted: dict[str, Case]) -> dict[str, Any]:
    plans = PostgresPlans(cast("PostgresEngine", engine))
    try:
        return {name: plans.explain(case).faults() for name, case in wanted.items()}
    finally:
        plans.close()
