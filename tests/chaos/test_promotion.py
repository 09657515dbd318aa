"""A PostgreSQL server that is killed under load, and its synchronous replica that takes its place."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from lineshaft import Lineshaft
from lineshaft.clock import SECOND
from tests.chaos.conftest import Chaos
from tests.chaos.proxy import Link
from tests.chaos.test_postgres_faults import ALERT, heartbeats_differ, kill, load_going_on, set_server
from tests.plugins.apps import StartProcess, eventually
from tools.temporary_postgres import Standby, TemporaryPostgres

MakeApp = Callable[..., Lineshaft]
JOBS_BEFORE = 50


@pytest.fixture
def primary(own_postgres_server: Callable[..., TemporaryPostgres]) -> TemporaryPostgres:
    return own_postgres_server()


@pytest.fixture
def standby(primary: TemporaryPostgres) -> Iterator[Standby]:
    """A replica without which the primary acknowledges nothing."""
    with primary.make_standby() as one, psycopg.connect(primary.url, autocommit=True) as connection:
        set_server(primary, "synchronous_standby_names = '*'")
        asked = "select 1 from pg_stat_replication where sync_state = 'sync'"
        eventually(lambda: connection.execute(asked).fetchone())
        yield one


@pytest.fixture
def links(primary: TemporaryPostgres) -> Iterator[tuple[Link, Link]]:
    """Two networks that lead to the primary at first."""
    one, other = Link(primary.url), Link(primary.url)
    yield one, other
    one.close()
    other.close()


def test_promotion(
    primary: TemporaryPostgres,
    standby: Standby,
    links: tuple[Link, Link],
    tmp_path: Path,
    make_app: MakeApp,
    start_process: StartProcess,
    record_property: Callable[[str, object], None],
) -> None:
    """A synchronous replica that takes over loses nothing; a worker that finds it late keeps its jobs and lives on."""
    near, far = links
    chaos = Chaos(near.url, tmp_path, make_app, start_process)
    chaos.make_effects()
    late = chaos.worker("elsewhere:1", url=far.url, **ALERT)
    chaos.enqueue("held", "held", "gate", queue="elsewhere")
    late.expect("start held")
    prompt = chaos.worker(**ALERT)
    with load_going_on(chaos):
        eventually(lambda: chaos.app.jobs.count(state="completed") >= JOBS_BEFORE)
        killed_at = time.monotonic()
        kill(primary)
        standby.promote()
        near.lead_to(standby.url)
        before = chaos.app.jobs.count(state="completed")
        eventually(lambda: chaos.app.jobs.count(state="completed") > before)
        record_property("seconds to recover", time.monotonic() - killed_at)
        eventually(lambda: heartbeats_differ(standby) > 2 * SECOND)
    far.lead_to(standby.url)
    late.say("gate")
    chaos.settle()
    chaos.assert_in_order()
    record_property("jobs", len(chaos.rows()))
    assert [row.claim for row in chaos.rows() if row.key == "held"] == [1]
    assert [worker._popen.poll() for worker in (late, prompt)] == [None, None]
