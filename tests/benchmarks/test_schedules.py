"""The schedules benchmark: its rules tick as it says, and its figures are judged by their targets."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from benchmarks.load.stores import LoadedStore
from benchmarks.schedules import A_SECOND, ROUND_SECONDS, Options, Site, _in_turn, _late_line, _load, _quiet_rows, main
from lineshaft.clock import DAY, SECOND
from lineshaft.features.schedules.records import list_schedules

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_800_000_000 * SECOND
OPTIONS = Options(("sqlite",), 10_000, 0, 60.0, 60.0)


def test_so_many_ticks_fall_due_in_each_second() -> None:
    """The schedules that are measured tick in turn, in each second of the run as many as in any other."""
    seconds: Counter[int] = Counter()
    for number in range(A_SECOND * ROUND_SECONDS):
        rule = _in_turn(NOW + number * SECOND // A_SECOND, NOW, OPTIONS)
        seconds.update(at // SECOND for at in rule.between(NOW - 1, NOW + 3_600 * SECOND, 100))
    assert seconds == {NOW // SECOND + number: A_SECOND for number in range(60)}


def test_quiet_schedules_are_quiet(tmp_path: Path) -> None:
    """Those that are only stored tick on New Year's Day; loading others puts these in their place."""
    store = LoadedStore(f"sqlite:///{tmp_path / 'jobs.db'}")
    _load(store, _quiet_rows(100, NOW))
    _load(store, _quiet_rows(50, NOW))
    rows = store.engine.read(list_schedules)
    store.close()
    assert len(rows) == 50
    assert all(row.next_at and row.next_at > NOW + 30 * DAY for row in rows)


@pytest.mark.parametrize("late, is_reached", [([1.0] * 99 + [500.0], True), ([1.0] * 98 + [500.0] * 2, False)])
def test_lateness_is_judged_by_its_99th_percentile(late: list[float], is_reached: bool) -> None:  # noqa: FBT001 - a case
    """One job of a hundred may be late."""
    site = Site("sqlite", None, None, None)  # type: ignore[arg-type]
    line = _late_line(site, "start", late)
    assert line.is_reached is is_reached
    assert line.value.endswith("/ 500.0 ms of 100")


@pytest.mark.timeout(120)
def test_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """A short run prints every figure with its target."""
    main(["--only", "sqlite", "--schedules", "1000", "--delayed", "100", "--idle-seconds", "1", "--seconds", "1"])
    said = capsys.readouterr().out
    for figure in (
        "idle with 1,000 schedules",
        "start of a tick's job",
        "start of a delayed job",
        "due in one instant",
    ):
        assert said.count(figure) == 1
