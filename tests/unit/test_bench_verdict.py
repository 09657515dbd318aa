"""What a bench says limits a store, by its figures alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft.bench.figures import Drain, Figures, Latency, Limits, count_for, latency, rate, shares
from lineshaft.bench.verdict import judge
from lineshaft.bench.workers import next_look

if TYPE_CHECKING:
    from lineshaft.bench.verdict import Finding

LIMITS = Limits("synchronous_commit=on", 0.05, rate(1_000, 0.3), Latency(1_000, 0.3, 0.5), rate(25_000, 1))
DRAIN = Drain("shop.render", "thread", 1, 10, rate(5_000, 1), run_ms=0, cores=0.5, machine=0.6)
FIGURES = Figures(
    "postgresql://localhost/shop", "postgres", None, rate(3_000, 1), Latency(2_000, 0.33, 0.6), rate(60_000, 1),
    (DRAIN,), Latency(200, 1.0, 3.0), LIMITS, None,
)  # fmt: skip


def of_drain(engine: str = "postgres", limits: Limits | None = LIMITS, **changes: Any) -> Finding:
    """The finding about the drain."""
    drain = replace(DRAIN, **changes)
    found = judge(replace(FIGURES, engine=engine, drains=(drain,), limits=limits))
    return next(one for one in found if one.about == "drain, shop.render")


def about(what: str, figures: Figures) -> Finding:
    """The finding about another figure."""
    return next(one for one in judge(figures) if one.about == what)


def test_a_computing_task_limits_its_worker() -> None:
    """A task that computes all the time keeps one interpreter busy: processes help, slots do not."""
    found = of_drain(rate=rate(50, 1), run_ms=20.0, cores=0.99)
    assert found.limit == "task"
    assert 'runs_in="process"' in found.change


def test_the_interpreter_limits_tiny_jobs() -> None:
    """A worker whose core is busy with jobs that take no time is limited by Python."""
    found = of_drain(rate=rate(20_000, 1), cores=0.96)
    assert (found.limit, found.change.startswith("--processes 2")) == ("python", True)
    assert " 48 µs a job" in found.because


def test_a_task_that_waits_wants_slots() -> None:
    """Jobs that fill every slot without using the core wait for something: more of them can wait at once."""
    found = of_drain(rate=rate(490, 1), run_ms=20.0, cores=0.1)
    assert (found.limit, "more slots" in found.change) == ("slots", True)


def test_a_process_lane_is_not_one_interpreter() -> None:
    """Children have interpreters of their own: busy cores are the machine's limit, not that of one of them."""
    assert of_drain(lane="process", rate=rate(90, 1), run_ms=20.0, cores=1.9, machine=0.98).limit == "machine"


@pytest.mark.parametrize("engine, limit", [("sqlite", "writer"), ("postgres", "database")])
def test_near_the_raw_limit_the_store_is_the_limit(engine: str, limit: str) -> None:
    """What comes near to bare SQL cannot be made faster in the worker."""
    assert of_drain(engine, rate=rate(20_000, 1)).limit == limit


@pytest.mark.parametrize("round_trip_ms, limit", [(0.05, "commit"), (0.2, "network")])
def test_an_idle_worker_waits_for_the_store(round_trip_ms: float, limit: str) -> None:
    """A worker with time to spare waits for answers: for the way when that is most of a commit, else for the disk."""
    assert of_drain(limits=replace(LIMITS, round_trip_ms=round_trip_ms)).limit == limit


def test_without_raw_limits_the_store_is_named() -> None:
    """Where no scratch tables could be made, the drain is still judged, and nothing is said that was not measured."""
    assert of_drain(limits=None).limit == "database"
    assert [one.about for one in judge(replace(FIGURES, limits=None))] == ["drain, shop.render"]


@pytest.mark.parametrize("raw, advice", [(150_000, "--processes 2"), (50_000, "PostgreSQL")])
def test_sqlite_has_one_writer(raw: int, advice: str) -> None:
    """On SQLite more processes are advised only as far as the one writer has room."""
    limits = replace(LIMITS, drain=rate(raw, 1))
    assert of_drain("sqlite", limits, rate=rate(45_000, 1), cores=1.0).change.startswith(advice)


@pytest.mark.parametrize(
    "engine, gain, machine, limit, advice",
    [
        ("postgres", 1.6, 0.7, "commit", "keep them"),
        ("postgres", 1.0, 0.99, "machine", "one process"),
        ("postgres", 1.0, 0.7, "database", "one process"),
        ("sqlite", 1.0, 0.99, "writer", "one process"),
    ],
)
def test_more_processes_are_judged_by_what_they_brought(
    engine: Any, gain: float, machine: float, limit: str, advice: str
) -> None:
    """Several processes are compared with one of the same task, and kept only where they bring a fifth."""
    two = replace(DRAIN, processes=2, rate=rate(int(5_000 * gain), 1), machine=machine)
    figures = replace(FIGURES, engine=engine, drains=(DRAIN, two))
    found = about("drain, shop.render, 2 processes", figures)
    assert (found.limit, found.change.startswith(advice)) == (limit, True)
    assert f"{gain:.2f} times" in found.because


def test_a_single_enqueue_is_a_commit() -> None:
    """Near the bare commit, the commit is the limit; what one may give up for it is named with its price."""
    found = about("single enqueue", FIGURES)
    assert found.limit == "commit"
    assert "stored 20 times as many" in found.change
    assert "synchronous_commit=off for this role, if a server crash may take the last jobs" in found.change


@pytest.mark.parametrize("setting, is_left", [("synchronous=FULL", True), ("synchronous=NORMAL", False)])
def test_only_durability_that_is_there_is_offered(setting: str, is_left: bool) -> None:  # noqa: FBT001 - a parameter
    """A store that is as little durable as it may be is not told to be less."""
    figures = replace(FIGURES, engine="sqlite", limits=replace(LIMITS, durability=setting))
    assert ("power cut" in about("single enqueue", figures).change) is is_left


def test_far_from_the_database_the_way_is_the_limit() -> None:
    """Where most of a commit is the way to the database, that is said of enqueue and of pick-up."""
    far = replace(FIGURES, limits=replace(LIMITS, round_trip_ms=0.2))
    assert about("single enqueue", far).limit == "network"
    assert about("pick-up", far).limit == "network"


def test_far_from_the_database_batches_do_not_make_the_store_the_limit() -> None:
    """A worker that batches does more than bare SQL in small batches over a long way: the way is still the limit."""
    found = of_drain(limits=replace(LIMITS, round_trip_ms=0.2), rate=rate(100_000, 1), cores=0.3)
    assert found.limit == "network"


def test_far_from_the_raw_limit_python_is_the_limit() -> None:
    """Where a bare commit is a small part of an enqueue or a pick-up, the rest is ours."""
    slow = replace(FIGURES, single_enqueue=rate(1_000, 1), pick_up=Latency(200, 5.0, 9.0))
    assert about("single enqueue", slow).limit == "python"
    assert about("pick-up", slow).limit == "python"


def test_shares_are_parts_of_the_raw_limit() -> None:
    """A share is the rate by that of bare SQL, one for each drain; without raw limits there are none."""
    found = shares(FIGURES)
    assert found is not None
    assert (found.single_enqueue, found.drains) == (0.9, (0.2,))
    assert shares(replace(FIGURES, limits=None)) is None


@pytest.mark.parametrize(
    "run_ms, cpu_ms, count",
    [(0, 0, 20_000), (100, 0, 1_000), (100, 100, 100), (60_000, 0, 10), (0.001, 0.001, 20_000)],
)
def test_a_tasks_jobs_fill_ten_seconds(run_ms: float, cpu_ms: float, count: int) -> None:
    """Waiting jobs run side by side in the slots, computing ones one by one; there is at least one a slot."""
    assert count_for(10, run_ms, cpu_ms, 10, most=20_000) == count


def test_looking_stays_cheap() -> None:
    """The bench looks again after half of the rest, at most twice a second, and rarely where a look takes long."""
    assert [next_look(rest, 0.001) for rest in (0.01, 0.4, 60)] == [0.05, 0.2, 0.5]
    assert next_look(60, 0.2) == 2


def test_percentiles_are_times_that_happened() -> None:
    """The 99th percentile is the nearest rank: of 100 times the second longest, of few the longest."""
    assert latency([1_000 * number for number in range(1, 101)]).p99_ms == 99
    assert latency([3_000, 1_000]).p50_ms == 1
    assert latency([3_000, 1_000]).p99_ms == 3


def test_rate() -> None:
    """A rate is a count by seconds."""
    assert rate(100, 0.5).per_second == 200
