"""Markdown tables of a run. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from benchmarks.harness.figures import Spread
from benchmarks.harness.results import METRICS, Run, SubjectResult
from benchmarks.harness.targets import Verdict, judge, wanted_text

DASH: Final = "–"
_SPEED: Final = ("drain_one", "drain_two", "drain_million", "bulk_per_second", "single_per_second")
_ANSWER: Final = {True: "reached", False: "**not reached**", None: "not measured"}


def everything(run: Run) -> str:
    """Return all tables with their headings."""
    parts = [
        _machine(run),
        "### Rates, jobs per second\n\nMedian (least–greatest of the repetitions).\n\n" + _rates(run),
        "### Times and memory\n\n" + _times(run),
        "### A worker killed with eight jobs in flight\n\n"
        "200 jobs were waiting; a new worker was started at once and watched for 60 s.\n\n" + _crashes(run),
        "### Numbers to reach\n\n" + targets(judge(run)),
        "### Settings and versions\n\n" + _settings(run),
    ]
    problems = _problems(run)
    if problems:
        parts.append("### What could not be measured\n\n" + problems)
    return "\n\n".join(parts)


def targets(verdicts: Iterable[Verdict]) -> str:
    """Return the numbers to reach with what was measured."""
    rows = [
        (
            verdict.target.row,
            verdict.target.store,
            wanted_text(verdict.target),
            _figure(verdict.figure, verdict.target.metric),
            _times_text(verdict.to_peer),
            _share(verdict.to_bare),
            _share(verdict.to_statements),
            _ANSWER[verdict.is_reached] + _missed(verdict),
        )
        for verdict in verdicts
    ]
    return table(
        ("", "store", "wanted", "measured", "to the fastest peer", "to the bare SQL", "to its statements", "verdict"),
        rows,
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def ranked(run: Run, metric: str) -> list[SubjectResult]:
    """Return limits, Lineshaft and peers in one list, the greatest median first, those without one last."""
    return sorted(run.subjects, key=lambda one: -(one.median(metric) or 0.0))


def _machine(run: Run) -> str:
    described = ", ".join(f"{key} {value}" for key, value in run.machine.items())
    return f"Run of {run.at[:10]}, {run.minutes:g} minutes. {described}."


def _rates(run: Run) -> str:
    rows = [
        (one.label, _result_text(one), *(_spread(one.spread(key), key) for key in _SPEED))
        for one in ranked(run, "drain_one")
        if one.repetitions
    ]
    return table(("", "result stored", *(METRICS[key].title for key in _SPEED)), rows)


def _times(run: Run) -> str:
    pairs = (("single_p50_ms", "single_p99_ms"), ("pick_up_p50_ms", "pick_up_p99_ms"))
    rows = [
        (one.label, *(_pair(one, *pair) for pair in pairs), _median(one, "idle_cpu_percent"), _idle_memory(one))
        for one in ranked(run, "drain_one")
        if one.repetitions
    ]
    head = ("", "single enqueue p50 / p99, ms", "pick-up p50 / p99, ms", "idle CPU, % of a core", "idle memory, MiB")
    return table(head, rows)


def _crashes(run: Run) -> str:
    keys = ("crash_in_flight", "crash_again", "crash_again_seconds", "crash_lost", "crash_doubled")
    rows = [
        (one.label, *(_median(one, key) for key in keys))
        for one in ranked(run, "drain_one")
        if one.median("crash_in_flight") is not None
    ]
    return table(("", *(METRICS[key].title for key in keys)), rows)


def _settings(run: Run) -> str:
    rows = [
        (one.label, " ".join(f"{name} {number}" for name, number in one.versions.items()) or DASH, one.settings)
        for one in run.subjects
        if one.versions or one.kind != "peer"
    ]
    general = "\n".join(f"- {name}: {value}" for name, value in run.settings.items())
    return f"{general}\n\n{table(('', 'versions', 'settings'), rows)}"


def _problems(run: Run) -> str:
    return "\n".join(f"- {one.label}: {problem}" for one in run.subjects for problem in one.problems)


def _result_text(one: SubjectResult) -> str:
    return DASH if one.kind == "limit" else "yes" if one.keeps_result else "no"


def _missed(verdict: Verdict) -> str:
    missed = [check for check in verdict.checks if check.is_reached is False and check.bound.of]
    return "".join(f" ({check.figure:.2f}× of {check.bound.value:g}×)" for check in missed)


def _spread(found: Spread | None, metric: str) -> str:
    if found is None:
        return DASH
    median = _figure(found.median, metric)
    return median if found.low == found.high else f"{median} ({_number(found.low, 0)}–{_number(found.high, 0)})"


def _pair(one: SubjectResult, first: str, second: str) -> str:
    values = one.median(first), one.median(second)
    return DASH if None in values else " / ".join(_figure(value, first) for value in values)


def _median(one: SubjectResult, metric: str) -> str:
    return _figure(one.median(metric), metric)


def _idle_memory(one: SubjectResult) -> str:
    return _median(one, "idle_rss_mib")


def _figure(value: float | None, metric: str) -> str:
    return DASH if value is None else _number(value, METRICS[metric].digits)


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}"


def _times_text(ratio: float | None) -> str:
    return DASH if ratio is None else f"{ratio:.3g}×"


def _share(ratio: float | None) -> str:
    return DASH if ratio is None else f"{ratio:.0%}"
