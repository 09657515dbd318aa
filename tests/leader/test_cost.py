"""What leading costs, and what it costs those who do not lead: counted in statements."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft.engines.postgres.transaction import PostgresTx
from lineshaft.engines.sqlite.transaction import SqliteTx
from tests.plugins.apps import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lineshaft import Lineshaft
    from tests.plugins.apps import StartWorker

BEATS = 12


@pytest.fixture
def statements() -> Iterator[Counter[str]]:
    """How often each statement was run in this process."""
    found: Counter[str] = Counter()
    with pytest.MonkeyPatch.context() as patch:
        for transaction in (SqliteTx, PostgresTx):
            patch.setattr(transaction, "run", _counting(transaction.run, found))
        yield found


def _counting(run: Callable[..., Any], found: Counter[str]) -> Callable[..., Any]:
    def counted(tx: Any, statement: Any, *args: Any, **kwargs: Any) -> Any:
        found[statement.name] += 1
        return run(tx, statement, *args, **kwargs)

    return counted


def test_one_of_several_workers_leads(app: Lineshaft, start_worker: StartWorker) -> None:
    """Of the workers of a store exactly one is shown as the leader, with what it does."""
    workers = [start_worker(app).worker for _ in range(3)]
    [leader] = eventually(lambda: [one for one in app.workers.list() if one.leads and one.duty])
    assert [one.id for one in workers if one.leader.leads] == [leader.id]
    assert {(one.leads, one.duty) for one in app.workers.list() if one.id != leader.id} == {(False, None)}


def test_standing_by_costs_no_statement(
    durable_url: str, make_app: Callable[..., Lineshaft], start_worker: StartWorker, statements: Counter[str]
) -> None:
    """Who leads is read with the heartbeat: once somebody does, neither the leader nor another asks for it again."""
    app = make_app(durable_url)
    workers = [start_worker(app).worker for _ in range(2)]
    eventually(lambda: any(one.leader.leads for one in workers))
    # What was rung for the election is heard by now, or with the next beat.
    so_far = statements["beat"]
    eventually(lambda: statements["beat"] >= so_far + 4)
    statements.clear()
    eventually(lambda: statements["beat"] >= BEATS)
    assert {name: statements[name] for name in ("see_lead", "take_lead", "resign_lead")} == {
        "see_lead": 0, "take_lead": 0, "resign_lead": 0,
    }  # fmt: skip


def test_a_storm_of_wake_ups_is_looked_into_now_and_then(
    durable_url: str, make_app: Callable[..., Lineshaft], start_worker: StartWorker, statements: Counter[str]
) -> None:
    """A worker that is called all the time looks for the lead at most fifty times a second, and beats as before."""
    app = make_app(durable_url, heartbeat="1s", silence="3s")
    worker = start_worker(app).worker
    eventually(lambda: worker.leader.leads)
    statements.clear()
    began, pause = time.monotonic(), threading.Event()
    while time.monotonic() < began + 0.8:
        worker.liveness.poke()
        pause.wait(0.001)
    assert 2 <= statements["see_lead"] <= 45
    assert statements["beat"] <= 2


def test_no_threads_of_duties_where_nobody_leads(durable_app: Lineshaft, start_worker: StartWorker) -> None:
    """Only the process that leads has a thread for each duty."""
    workers = [start_worker(durable_app).worker for _ in range(3)]
    eventually(lambda: any(one.leader.leads for one in workers))
    names = [one.name for one in threading.enumerate()]
    duties = eventually(lambda: [one.leader for one in workers if one.leader.leads])[0]._duties
    assert {names.count(f"lineshaft-{duty.name}") for duty in duties} == {1}
