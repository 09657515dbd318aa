"""The figures as a table, and the verdict in words."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from lineshaft.cli.output import count_of, is_terminal, print_hint, print_text, styled
from lineshaft.cli.table import Column, print_table

if TYPE_CHECKING:
    from lineshaft.bench.figures import Drain, Figures, Latency, Limits, Rate, Shares
    from lineshaft.bench.verdict import Finding

Row = tuple[str, str, str, str, str, str]

_COLUMNS: Final = (
    Column("what", may_be_cut=True),
    Column("jobs", is_number=True, is_extra=True),
    Column("per second", is_number=True),
    Column("p50 ms", is_number=True),
    Column("p99 ms", is_number=True),
    Column("of raw", is_number=True),
)
_WIDEST: Final = 100


def print_figures(figures: Figures, shares: Shares | None, found: Sequence[Finding]) -> None:
    """Print everything; the last paragraphs say what to change."""
    print_text(_title(figures))
    print_text("")
    print_table(_COLUMNS, [*_raw(figures.limits), *_own(figures, shares)], empty="")
    if figures.limits_missing:
        print_hint(f"no raw limits: {figures.limits_missing}")
    print_text("")
    print_text(styled("What limits it now, and what to change", "bold"))
    for one in found:
        _print_finding(one)


def _title(figures: Figures) -> str:
    slots = f"{count_of(figures.drains[0].slots, 'slot')} a process"
    durability = [figures.limits.durability] if figures.limits else []
    return ", ".join([figures.store, *durability, slots])


def _raw(limits: Limits | None) -> Iterator[Row]:
    if limits is not None:
        yield _row("raw: commit of one row", limits.commits, each=limits.commit)
        yield _row("raw: claim and finish", limits.drain)


def _own(figures: Figures, shares: Shares | None) -> Iterator[Row]:
    single = shares.single_enqueue if shares else None
    yield _row("single enqueue", figures.single_enqueue, each=figures.single_enqueue_latency, share=single)
    yield _row("bulk enqueue", figures.bulk_enqueue)
    for index, one in enumerate(figures.drains):
        yield _row(_drain_name(one), one.rate, share=shares.drains[index] if shares else None)
    pick_up = figures.pick_up
    yield "pick-up when idle", f"{pick_up.count:,}", "", f"{pick_up.p50_ms:.2f}", f"{pick_up.p99_ms:.2f}", ""


def _drain_name(drain: Drain) -> str:
    return f"drain, {drain.what}" + (f", {drain.processes} processes" if drain.processes > 1 else "")


def _row(what: str, rate: Rate, *, each: Latency | None = None, share: float | None = None) -> Row:
    times = (f"{each.p50_ms:.2f}", f"{each.p99_ms:.2f}") if each else ("", "")
    return what, f"{rate.count:,}", f"{rate.per_second:,.0f}", *times, "" if share is None else f"{share:.0%}"


def _print_finding(one: Finding) -> None:
    lines = [f"{one.about}: {one.limit}", f"  {one.because}", f"  → {one.change}"]
    if is_terminal():
        width = min(_WIDEST, shutil.get_terminal_size().columns)
        lines = [part for line in lines for part in textwrap.wrap(line, width, subsequent_indent=_indent(line))]
    for line in lines:
        print_text(line)


def _indent(line: str) -> str:
    return "    " if line.startswith("  →") else "  "
