"""The quick run: Lineshaft and the raw limits in turns, for ratios that show a regression."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks.harness import machine, regression
from benchmarks.harness.bench import opened
from benchmarks.harness.limits import STORES, measure_limit, raw
from benchmarks.harness.peers import find_peers, subjects
from benchmarks.harness.progress import Progress
from benchmarks.harness.results import Figures
from benchmarks.harness.servers import Servers
from benchmarks.harness.steps import Sizes, Steps

ROUNDS: Final = 4
MOST_ROUNDS: Final = 8
"""As long as something seems lost, more rounds are run: a disturbance passes, a regression stays."""
MOST_SECONDS: Final = 150
_SIZES: Final = Sizes(
    singles=20_000, single_seconds=0.8, jobs=30_000, many_jobs=30_000, fill_seconds=4.0, drain_seconds=4.0
)
_LIMIT_SECONDS: Final = 0.6
_KEYS: Final = {"single_per_second": "single", "bulk_per_second": "bulk"}


def measure(servers: Servers, root: Path, baseline: regression.Baseline | None) -> Figures:
    """Return the best of each figure from several rounds, by the names of `regression.RATIOS`.

    With a baseline to compare with, rounds go on while a ratio seems lost; without, all rounds are run.
    Raises `StepError` or `SetUpError` when something cannot be measured at all.
    """
    progress = Progress()
    rounds: list[Figures] = []
    with ExitStack() as stack:
        ours = [peer for peer in find_peers() if peer.is_ours]
        benches = [stack.enter_context(opened(subject, servers, root)) for subject in subjects(ours)]
        steps = [Steps(bench, _SIZES, lambda _: None) for bench in benches]
        while _needs_round(rounds, baseline, progress.seconds):
            progress.say(f"round {len(rounds) + 1}")
            rounds.append(_measure_limits(servers, root) | _measure_ours(steps))
    return regression.best(rounds)


def _needs_round(rounds: list[Figures], baseline: regression.Baseline | None, seconds: float) -> bool:
    if len(rounds) < ROUNDS or seconds > MOST_SECONDS:
        return len(rounds) < ROUNDS
    if len(rounds) == MOST_ROUNDS:
        return False
    if baseline is None:
        return True
    return any(one.is_lost for one in regression.compare(regression.best(rounds), baseline, machine.processor()))


def _measure_limits(servers: Servers, root: Path) -> Figures:
    return {
        f"{store}-raw-{key}": value
        for store in STORES
        for key, value in measure_limit(raw(store), servers, root, _LIMIT_SECONDS).items()
    }


def _measure_ours(benches: list[Steps]) -> Figures:
    found: Figures = {}
    for steps in benches:
        subject = steps.subject
        if subject.is_first:
            found |= _named(subject.peer.store, steps.enqueue_singly())
        bulk, drain = steps.enqueue_in_bulk(), steps.drain(1, subject.variant)
        found |= _named(subject.peer.store, drain | (bulk if subject.is_first else {}))
    return found


def _named(store: str, figures: Figures) -> Figures:
    return {f"{store}-{_KEYS.get(key, key)}": value for key, value in figures.items()}
