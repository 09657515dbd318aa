from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks.harness import chart, page, results, tables, targets
from benchmarks.harness.results import Run, SubjectResult


@pytest.fixture
def run() -> Run:
    return Run(
        at="2026-11-22T10:00:00+00:00",
        machine={"CPU": "2 cores"},
        settings={"repetitions": "3"},
        subjects=[
            SubjectResult(
                "lineshaft-sqlite-threads",
                "Lineshaft threads (SQLite)",
                "lineshaft",
                "SQLite",
                peer="lineshaft-sqlite",
                variant="threads",
                repetitions=[
                    {"drain_one": drain, "drain_two": 50_000, "single_per_second": 12_000, "pick_up_p50_ms": 0.9}
                    for drain in (40_000, 60_000, 50_000)
                ],
            ),
            SubjectResult(
                "celery-threads",
                "Celery threads (Redis)",
                "peer",
                "Redis",
                peer="celery",
                repetitions=[{"drain_one": 1_000, "single_per_second": 1_400, "pick_up_p50_ms": 3.6}],
            ),
            SubjectResult(
                "huey-sqlite",
                "Huey (SQLite)",
                "peer",
                "SQLite",
                peer="huey-sqlite",
                keeps_result=False,
                repetitions=[{"drain_one": 10_000, "single_per_second": 4_000}],
            ),
            SubjectResult("rq", "RQ (Redis)", "peer", "Redis", peer="rq", problems=["not set up: no redis-server"]),
            SubjectResult(
                "raw-sqlite",
                "bare SQL (SQLite)",
                "limit",
                "SQLite",
                repetitions=[{"drain_one": 200_000, "single_per_second": 30_000}],
            ),
            SubjectResult(
                "statements-sqlite",
                "Lineshaft's statements alone (SQLite)",
                "limit",
                "SQLite",
                repetitions=[{"drain_one": 125_000}],
            ),
        ],
    )


def verdict(run: Run, row: str, store: str = "SQLite") -> targets.Verdict:
    return next(one for one in targets.judge(run) if one.target.row.startswith(row) and one.target.store == store)


def test_a_target_is_held_against_the_fastest_peer_and_the_limits(run: Run) -> None:
    """The drain's median is compared with the fastest peer, with the bare SQL and with Lineshaft's statements."""
    drain = verdict(run, "drain, one process, `def`")
    assert (drain.figure, drain.to_peer, drain.to_bare, drain.to_statements) == (50_000, 5.0, 0.25, 0.4)
    assert drain.is_reached is True


def test_one_bound_that_is_missed_misses_the_target(run: Run) -> None:
    """A figure that is high enough by itself but not against a peer is not reached, and the table says by how much."""
    run.subjects[1].repetitions[0]["drain_one"] = 2_000
    assert verdict(run, "drain, one process, `def`").is_reached is False
    assert "**not reached** (25.00× of 30×)" in tables.targets(targets.judge(run))


def test_what_was_not_measured_is_neither_reached_nor_missed(run: Run) -> None:
    """Without a figure there is no verdict."""
    assert verdict(run, "bulk enqueue").is_reached is None
    assert verdict(run, "drain, one process, `def`", "PostgreSQL").is_reached is None


def test_a_time_must_not_be_longer(run: Run) -> None:
    """For times, less is better, also when the fastest peer is looked for."""
    pick_up = verdict(run, "pick-up on an idle worker, p50")
    assert (pick_up.is_reached, pick_up.to_peer) == (True, 0.25)


def test_a_durable_peer_is_one_on_the_same_store(run: Run) -> None:
    """Single enqueue is held against the fastest peer on the same kind of store: 12,000 of 4,000 are enough."""
    run.subjects[1].repetitions[0]["single_per_second"] = 100_000
    single = verdict(run, "single enqueue")
    assert [check.is_reached for check in single.checks] == [False, True]


def test_every_row_names_a_metric_that_exists() -> None:
    """Each number to reach is about a figure that is measured, and is written in words."""
    assert {target.metric for target in targets.TARGETS} <= results.METRICS.keys()
    assert targets.wanted_text(targets.TARGETS[0]).startswith("≥ 40,000/s, ≥ 4× the fastest peer, ")


def test_tables_give_medians_with_their_range(run: Run) -> None:
    """A rate is shown as its median with the least and the greatest repetition, the fastest first."""
    lines = tables.everything(run).splitlines()
    rows = [line for line in lines if line.startswith(("| bare", "| Line", "| Huey", "| Cel"))]
    assert rows[0].startswith("| bare SQL (SQLite) | – | 200,000 |")
    assert rows[2].startswith("| Lineshaft threads (SQLite) | yes | 50,000 (40,000–60,000) | 50,000 |")
    assert rows[3].startswith("| Huey (SQLite) | no | 10,000 |")


def test_a_peer_that_was_not_measured_is_told_of(run: Run) -> None:
    """What could not be set up stands under the tables with its reason."""
    assert tables.everything(run).endswith("What could not be measured\n\n- RQ (Redis): not set up: no redis-server")


def test_a_run_comes_back_from_its_file(run: Run, tmp_path: Path) -> None:
    """What is written as JSON is the same run when it is read again."""
    path = tmp_path / "results" / "latest.json"
    results.save(run, path)
    assert results.load(path) == run


def test_the_page_keeps_what_stands_around_the_figures(run: Run, tmp_path: Path) -> None:
    """Writing a run twice replaces the figures between the markers and nothing else, and draws the charts."""
    (tmp_path / "benchmarks.md").write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    page.write(run, tmp_path)
    page.write(run, tmp_path)
    text = (tmp_path / "benchmarks.md").read_text()
    assert text.startswith(
        f"before\n{page.BEGIN}\n\n![Jobs per second, one worker process](images/benchmark-drain.svg)\n"
    )
    assert "\n\nRun of 2026-11-22" in text
    assert text.endswith(f"no redis-server\n\n{page.END}\nafter\n")
    assert "old" not in text
    assert {file.name for file in (tmp_path / "images").iterdir()} == page.charts(run).keys()


def test_times_stand_on_a_logarithmic_scale(run: Run) -> None:
    """Each power of ten around the times has its line and its label."""
    root = ET.fromstring(chart.times_chart(run, "pick_up_p50_ms", "Title", "Note"))  # noqa: S314 - our own text
    texts = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == [
        "Title",
        "Note",
        "0.1",
        "1",
        "10",
        "Lineshaft threads (SQLite)",
        "0.9",
        "Celery threads (Redis)",
        "3.6",
    ]


def test_a_page_without_markers_is_refused() -> None:
    """Figures are never written over text that a person wrote."""
    with pytest.raises(ValueError, match="needs the lines"):
        page.insert("a page", "figures")


def test_the_committed_page_has_the_markers() -> None:
    """The page in the repository has a place for the figures."""
    assert "figures" in page.insert((page.DOCS / "benchmarks.md").read_text("utf-8"), "figures")


def test_a_chart_has_a_bar_for_each_subject_that_was_measured(run: Run) -> None:
    """Bars are as long as their values, the greatest first, and a label that needs it is escaped."""
    run.subjects[0].label = "a < b"
    root = ET.fromstring(chart.rates_chart(run, "drain_one", "Title", "Note"))  # noqa: S314 - our own text
    rows = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert rows[:4] == ["Title", "Note", "bare SQL (SQLite)", "200,000"]
    assert "a < b" in rows
    widths = [float(one.get("width", 0)) for one in root.iter("{http://www.w3.org/2000/svg}rect")][1:]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] == pytest.approx(4 * widths[2])
