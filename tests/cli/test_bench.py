"""`bench`: its figures, and what it leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lineshaft.bench.figures import latency, rate

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft import Lineshaft
    from tests.cli.conftest import Ran


def test_bench_measures_and_cleans_up(process: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """Every figure is measured on a real worker process, and afterwards the store is as before."""
    kept = store.enqueue("shop.render")
    ran = process("bench", "--jobs", "100", "--json", "--store", address)
    assert (ran.code, ran.err) == (0, "")
    figures = ran.json
    assert set(figures) == {
        "store", "single_enqueue", "single_enqueue_latency", "bulk_enqueue", "drain_threads", "drain_async", "pick_up",
    }  # fmt: skip
    assert (figures["drain_threads"]["count"], figures["drain_async"]["count"]) == (200, 100)
    for name in ("single_enqueue", "bulk_enqueue", "drain_threads", "drain_async"):
        assert figures[name]["per_second"] > 0
    assert 0 < figures["pick_up"]["p50_ms"] <= figures["pick_up"]["p99_ms"]
    assert [job.id for job in store.jobs.iter()] == [kept.id]
    assert store.workers.list() == []


def test_a_store_in_memory_is_refused(call: Callable[..., Ran]) -> None:
    """A store that the worker's process cannot reach is not measured."""
    ran = call("bench", "--store", "memory://")
    assert ran.code == 2
    assert "the worker is another process" in ran.complaint


def test_percentiles_are_times_that_happened() -> None:
    """The 99th percentile is the nearest rank: of 100 times the second longest, of few the longest."""
    assert latency([1_000 * number for number in range(1, 101)]).p99_ms == 99
    assert latency([3_000, 1_000]).p50_ms == 1
    assert latency([3_000, 1_000]).p99_ms == 3


def test_rate() -> None:
    """A rate is a count by seconds."""
    assert rate(100, 0.5).per_second == 200
