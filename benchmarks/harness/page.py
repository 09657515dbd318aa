"""Puts a run into `docs/benchmarks.md`, between its markers, and its charts beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.harness import chart, tables
from benchmarks.harness.results import Run

DOCS: Final = Path(__file__).parents[2] / "docs"
BEGIN: Final = "<!-- figures of the last whole run: written by make bench -->"
END: Final = "<!-- end of the figures -->"


def write(run: Run, docs: Path = DOCS) -> None:
    """Write tables and charts; raises `ValueError` when the page has lost its markers."""
    images = docs / "images"
    images.mkdir(exist_ok=True)
    for name, (_, svg) in charts(run).items():
        (images / name).write_text(svg, "utf-8")
    page = docs / "benchmarks.md"
    page.write_text(insert(page.read_text("utf-8"), f"{_pictures(run)}\n\n{tables.everything(run)}"), "utf-8")


def insert(text: str, figures: str) -> str:
    """Return the page with the figures in place of the old ones."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        msg = f"docs/benchmarks.md needs the lines {BEGIN!r} and {END!r}, with the figures between them"
        raise ValueError(msg)
    return f"{before}{BEGIN}\n\n{figures}\n\n{END}{after}"


def charts(run: Run) -> dict[str, tuple[str, str]]:
    """Return the charts by their file names: title and SVG."""
    drain, single, pick_up = (
        "Jobs per second, one worker process",
        "Jobs enqueued per second, one client",
        "Milliseconds until an idle worker begins a job",
    )
    return {
        "benchmark-drain.svg": (
            drain,
            chart.rates_chart(run, "drain_one", drain, "A task that returns its argument; more is better."),
        ),
        "benchmark-enqueue.svg": (
            single,
            chart.rates_chart(run, "single_per_second", single, "One call a job; more is better."),
        ),
        "benchmark-pickup.svg": (
            pick_up,
            chart.times_chart(run, "pick_up_p50_ms", pick_up, "Median, on a logarithmic scale; less is better."),
        ),
    }


def _pictures(run: Run) -> str:
    return "\n\n".join(f"![{title}](images/{name})" for name, (title, _) in charts(run).items())
