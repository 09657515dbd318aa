"""What Lineshaft has to reach, row by row, and whether a run shows it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from benchmarks.harness.limits import raw, statements
from benchmarks.harness.results import METRICS, Run, SubjectResult

LEAST: Final = "≥"
MOST: Final = "≤"


class Bound(NamedTuple):
    """One condition on a figure: at least or at most so much, of itself or as a multiple of something else."""

    is_least: bool
    value: float
    of: str = ""
    """`peer`: the fastest peer; `durable`: the fastest on the same kind of store; `celery`; `bare` SQL;
    Lineshaft's `statements` alone; `drain_one`."""


class Target(NamedTuple):
    """One row of the numbers to reach, for one store."""

    row: str
    store: str
    metric: str
    bounds: tuple[Bound, ...]
    variant: str = "threads"


class Check(NamedTuple):
    """A bound, the figure that it asks about (a ratio where it is one), and whether it holds; None: not measured."""

    bound: Bound
    figure: float | None
    is_reached: bool | None


class Verdict(NamedTuple):
    """What a run says of a target."""

    target: Target
    figure: float | None
    to_peer: float | None
    """The figure divided by the fastest peer's."""
    to_bare: float | None
    """The figure divided by what the bare SQL did."""
    to_statements: float | None
    """The figure divided by what Lineshaft's statements did without a worker."""
    checks: tuple[Check, ...]

    @property
    def is_reached(self) -> bool | None:
        """Whether every bound holds; None when something was not measured and nothing is missed."""
        answers = [check.is_reached for check in self.checks]
        return False if False in answers else None if None in answers else True


def _at_least(value: float, of: str = "") -> Bound:
    return Bound(is_least=True, value=value, of=of)


def _at_most(value: float, of: str = "") -> Bound:
    return Bound(is_least=False, value=value, of=of)


def _pair(
    row: str, metric: str, sqlite: Iterable[Bound], postgres: Iterable[Bound], variant: str = "threads"
) -> Iterator[Target]:
    yield Target(row, "SQLite", metric, tuple(sqlite), variant)
    yield Target(row, "PostgreSQL", metric, tuple(postgres), variant)


_SAME_BOTH: Final = [_at_most(0.5)]
_KILLED: Final = [_at_most(5)]
_DEEP: Final = [_at_least(0.85, "drain_one")]

TARGETS: Final = (
    *_pair(
        "drain, one process, `def` in threads",
        "drain_one",
        [_at_least(40_000), _at_least(4, "peer"), _at_least(30, "celery"), _at_least(0.35, "statements")],
        [_at_least(20_000), _at_least(2, "peer"), _at_least(30, "celery"), _at_least(0.70, "statements")],
    ),
    *_pair(
        "drain, one process, `async def`",
        "drain_one",
        [_at_least(25_000), _at_least(4, "peer"), _at_least(30, "celery")],
        [_at_least(16_000), _at_least(2, "peer"), _at_least(30, "celery")],
        "async",
    ),
    *_pair("drain, two processes", "drain_two", [_at_least(0.9, "drain_one")], [_at_least(1.2, "drain_one")]),
    *_pair(
        "single enqueue, one client",
        "single_per_second",
        [_at_least(15_000), _at_least(2, "durable")],
        [_at_least(0.8, "bare"), _at_least(1.4, "durable")],
    ),
    *_pair("bulk enqueue", "bulk_per_second", [_at_least(100_000)], [_at_least(60_000)]),
    *_pair("pick-up on an idle worker, p50", "pick_up_p50_ms", [_at_most(1)], [_at_most(2)]),
    *_pair("pick-up on an idle worker, p99", "pick_up_p99_ms", [_at_most(3)], [_at_most(5)]),
    *_pair("idle: CPU of one core", "idle_cpu_percent", _SAME_BOTH, _SAME_BOTH),
    *_pair("idle: memory of one worker", "idle_rss_mib", [_at_most(45)], [_at_most(50)]),
    *_pair("killed worker's jobs run again", "crash_again_seconds", _KILLED, _KILLED),
    *_pair("killed worker's jobs lost", "crash_lost", [_at_most(0)], [_at_most(0)]),
    *_pair("drain at 1,000,000 waiting", "drain_million", _DEEP, _DEEP),
)

_SLOWER_IS_GREATER: Final = ("_ms", "_percent", "_mib", "_seconds", "_lost")
_LIMITS: Final = {"bare": raw, "statements": statements}


def judge(run: Run) -> list[Verdict]:
    """Return the verdict on every target."""
    return [_judge(run, target) for target in TARGETS]


def fastest_peer(run: Run, metric: str, store: str | None = None) -> SubjectResult | None:
    """Return the best of the other systems in a metric, among those on a kind of store if one is given."""
    measured = [
        one for one in run.of_kind("peer") if one.median(metric) is not None and (store is None or one.store == store)
    ]
    is_less_better = metric.endswith(_SLOWER_IS_GREATER)
    best: Callable[..., SubjectResult] = min if is_less_better else max
    return best(measured, key=lambda one: one.median(metric) or 0.0) if measured else None


def wanted_text(target: Target) -> str:
    """Return what is wanted in words, such as `≥ 40,000/s, ≥ 4× the fastest peer`."""
    return ", ".join(_bound_text(bound, target.metric) for bound in target.bounds)


def _judge(run: Run, target: Target) -> Verdict:
    subject = _ours(run, target.store, target.variant)
    figure = subject.median(target.metric) if subject else None
    return Verdict(
        target,
        figure,
        to_peer=_ratio(figure, _reference(run, target, "peer")),
        to_bare=_ratio(figure, _reference(run, target, "bare")),
        to_statements=_ratio(figure, _reference(run, target, "statements")),
        checks=tuple(_check(run, target, bound, figure) for bound in target.bounds),
    )


def _check(run: Run, target: Target, bound: Bound, figure: float | None) -> Check:
    asked = _ratio(figure, _reference(run, target, bound.of)) if bound.of else figure
    if asked is None:
        return Check(bound, None, None)
    return Check(bound, asked, asked >= bound.value if bound.is_least else asked <= bound.value)


def _reference(run: Run, target: Target, of: str) -> float | None:
    metric = target.metric
    if of == "peer":
        found = fastest_peer(run, metric)
    elif of == "durable":
        found = fastest_peer(run, metric, target.store)
    elif of == "celery":
        found = max(
            (one for one in run.subjects if one.peer == "celery" and one.median(metric)),
            key=lambda one: one.median(metric) or 0.0,
            default=None,
        )
    elif of in _LIMITS:
        found = run.find(_LIMITS[of](target.store).name)
        metric = "drain_one" if metric.startswith("drain_") else metric  # a limit has one kind of drain
    else:
        found, metric = _ours(run, target.store, target.variant), of
    return found.median(metric) if found else None


def _ours(run: Run, store: str, variant: str) -> SubjectResult | None:
    ours = (one for one in run.of_kind("lineshaft") if one.store == store and one.variant == variant)
    return next(ours, None)


def _ratio(figure: float | None, reference: float | None) -> float | None:
    return None if figure is None or not reference else figure / reference


_OF: Final = {
    "peer": "the fastest peer",
    "durable": "the fastest peer on this store",
    "celery": "Celery",
    "bare": "the bare SQL",
    "statements": "its statements alone",
    "drain_one": "the drain of one process",
}


def _bound_text(bound: Bound, metric: str) -> str:
    sign = LEAST if bound.is_least else MOST
    if bound.of in (*_LIMITS, "drain_one") and bound.value < 1:
        return f"{sign} {bound.value:.0%} of {_OF[bound.of]}"
    if bound.of:
        return f"{sign} {bound.value:g}× {_OF[bound.of]}"
    unit = METRICS[metric].unit
    return f"{sign} {bound.value:,g}{unit if unit.startswith('/') else f' {unit}' if unit else ''}"
