"""`chaos`: the faults come, the same for the same seed, and the app gets over them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from lineshaft import ConfigError, Lineshaft, StoreUnavailableError
from lineshaft.testing import chaos

MakeApp = Callable[..., Lineshaft]


def refusals(app: Lineshaft, seed: int, calls: int = 60) -> list[str]:
    """Return what each of so many calls of the store gave."""
    found = []
    engine = app.runtime().engine
    with chaos(app, seed=seed, rate=0.3, delays=None):
        for _ in range(calls):
            try:
                engine.write(lambda _: None)
                found.append("")
            except StoreUnavailableError as error:
                found.append(str(error))
    return found


def test_a_seed_repeats_its_faults(app: Lineshaft) -> None:
    """The same calls under the same seed fail in the same way; another seed has others."""
    random.seed()
    first, second, other = refusals(app, 7), refusals(app, 7), refusals(app, 8)
    assert first == second != other
    assert {one.partition(";")[0] for one in first} == {
        "",
        "chaos: a call of the store failed before anything was done",
        "chaos: the store failed before the commit",
        "chaos: the answer to a commit got lost",
    }


@pytest.mark.timeout(120)
def test_jobs_come_to_their_end(app: Lineshaft) -> None:
    """Whatever the faults, each job is stored once and completes, and each fault is counted."""

    @app.task
    def double(number: int) -> int:
        return 2 * number

    with chaos(app, seed=3, rate=0.1, delays="5ms") as faults, app.worker({"default": 4}):
        jobs = [double.enqueue(number) for number in range(40)]
        assert [job.result(60) for job in jobs] == [2 * number for number in range(40)]
    assert app.jobs.count() == 40
    assert faults.faults["error"]
    assert faults.faults["delay"]


@pytest.mark.timeout(120)
def test_workers_are_torn_away(app: Lineshaft, gates: Any) -> None:
    """A worker that is torn away is replaced, and its running job is put back and runs again."""

    @app.task
    def hold() -> None:
        gates.note("runs")
        gates.wait("held")

    with chaos(app, seed=1, rate=1, delays=None, errors=False, kills=True) as faults, app.worker({"default": 1}):
        job = hold.enqueue()
        gates.next()
        gates.next()
        gates.open("held")
        assert job.wait(30).state == "completed"
    assert faults.faults["kill"]
    assert app.workers.list() == []


def test_an_outage_ends(app: Lineshaft) -> None:
    """While the store is away every call is refused; then it is back."""
    engine = app.runtime().engine
    with chaos(app, seed=1, rate=1, delays=None, errors=False, outages="0.2s") as faults:
        with pytest.raises(StoreUnavailableError, match="has gone away"):
            engine.write(lambda _: None)
        with pytest.raises(StoreUnavailableError, match="the store"):
            engine.read(lambda _: None)
        assert faults.faults["outage"] >= 1
    assert engine.write(lambda _: 1) == 1


def test_an_error_tells_the_seed(app: Lineshaft) -> None:
    """A test that fails under faults says how to have the same ones again."""
    with pytest.raises(ZeroDivisionError) as found, chaos(app) as faults:
        raise ZeroDivisionError
    assert found.value.__notes__ == [f"chaos(seed={faults.seed}, rate=0.05): none yet"]


def test_a_rate_is_a_share(app: Lineshaft) -> None:
    """A rate that is none is refused."""
    with pytest.raises(ConfigError, match="rate=5 must be a number from 0 to 1"), chaos(app, rate=5):
        pass
