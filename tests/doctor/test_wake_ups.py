"""The doctor finds wake-ups that do not arrive."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

import psycopg

from lineshaft.doctor import ailments, examine
from lineshaft.doctor.wake_ups import WakeUps
from lineshaft.store.migrate import migrate
from tests.doctor.conftest import patient_of
from tests.plugins.engines import open_engine

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from lineshaft.engines.base import Engine
    from lineshaft.engines.postgres import PostgresEngine
    from tests.doctor.conftest import Ward
    from tools.temporary_postgres import TemporaryPostgres

AILMENT = WakeUps(patience=0.3)


def test_wake_ups_that_arrive(ward: Ward) -> None:
    """A store whose notifications come back, and whose workers listen where this process rings, is well."""
    ward.worker("pdf:1", HOLDS="1")
    assert ward.found(AILMENT) == []


def test_store_in_memory(memory_engine: Engine) -> None:
    """A store in memory rings in its own process."""
    assert list(AILMENT.look(patient_of(memory_engine))) == []


def test_notifications_that_do_not_come_back(postgres_engine: Engine, postgres_url: str) -> None:
    """An address whose listen_url leads to another database, which hears nothing of this one, is found."""
    with psycopg.connect(cast("PostgresEngine", postgres_engine)._url) as connection:
        other = postgres_url.replace(f"/{connection.info.dbname}?", "/template1?").partition("?")[0]
    engine = open_engine(f"{postgres_url}&listen_url={other}")
    [found] = AILMENT.look(patient_of(engine))
    engine.close()
    assert found.symptom == "a notification did not come back within 0.3 s"
    assert "listen_url" in found.advice


def test_replica(own_postgres_server: Callable[..., TemporaryPostgres]) -> None:
    """On a replica nothing can be rung: that is said, and the rest is looked at."""
    server = own_postgres_server()
    primary = open_engine(server.url)
    migrate(primary)
    primary.close()
    with server.make_standby() as standby:
        engine = open_engine(standby.url)
        report = examine(patient_of(engine), ailments())
        engine.close()
    assert report.findings == []
    [unseen] = [one for one in report.unseen if one.ailment == "lost-wake-ups"]
    assert "recovery" in unseen.reason


def test_folder_that_cannot_be_used(sqlite_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary directory whose path is too long for a socket is found."""
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    engine = open_engine(sqlite_engine.address)
    [found] = AILMENT.look(patient_of(engine))
    engine.close()
    assert f"nobody can listen for wake-ups in {long}" in found.symptom


def test_worker_that_listens_elsewhere(sqlite_ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker whose temporary directory is another one is named, and a process that takes its directory reaches it."""
    with tempfile.TemporaryDirectory(prefix="x") as folder:
        worker = sqlite_ward.worker("pdf:1", HOLDS="1", TMPDIR=folder)
        found = sqlite_ward.comes(AILMENT)
        assert found.facts == {**found.facts, "pid": worker.pid, "folder": folder}
        assert found.command == f"export TMPDIR={folder}"
        monkeypatch.setattr(tempfile, "tempdir", folder)
        assert sqlite_ward.found(AILMENT) == []
        worker.close()
