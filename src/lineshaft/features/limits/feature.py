"""What limits a task's jobs: the gates that they have to pass, and the sequences of ordered ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from lineshaft.feature import Feature, Incoming
from lineshaft.features.limits.concurrency import ConcurrencyKind
from lineshaft.features.limits.keys import Keyed, keyed, passes_of
from lineshaft.features.limits.order import OrderKind
from lineshaft.features.limits.rate import RateKind
from lineshaft.features.limits.stored import passes_of_stored
from lineshaft.gates import NOWHERE, GatedJob, GateKind, Pass
from lineshaft.options import Concurrency, Options, Order, Rate, limits_of, orders_of
from lineshaft.store.gates import prune_gates

if TYPE_CHECKING:
    from lineshaft.engines.base import Tx
    from lineshaft.explaining import Hold
    from lineshaft.feature import Write
    from lineshaft.job import JobRow
    from lineshaft.task import Task

_OURS = (Concurrency, Order, Rate)


class LimitsFeature(Feature):
    """Concurrency limits, rates and strict orders; `tasks` are those that are known here, by name."""

    def __init__(self, tasks: Mapping[str, Task[Any, Any, Any]]) -> None:
        self._tasks = tasks
        self._kinds = (OrderKind(), RateKind(), ConcurrencyKind())
        self._compiled: dict[str, tuple[Options, Sequence[Keyed]]] = {}

    @property
    def kinds(self) -> Sequence[GateKind]:
        """Places, tokens, and turns in an order."""
        return self._kinds

    def limits(self, options: Options) -> bool:
        """Tell whether there are any."""
        return bool(options.rate) or any(isinstance(one, _OURS) for one in options.concurrency)

    def passes(self, options: Options, job: GatedJob) -> Sequence[Pass]:
        """Return the gates of a job; raises `ConfigError` when a key cannot be taken from its arguments."""
        known = self._compiled.get(job.name)
        if known is None or known[0] is not options:
            return passes_of(self._keyed(self._tasks[job.name], options), job)
        return passes_of(known[1], job)

    def wants(self, options: Options) -> bool:
        """Tell whether jobs with these options stand in a strict order."""
        return bool(orders_of(options))

    def before_enqueue(self, tx: Tx, jobs: Sequence[Incoming], now: int) -> None:  # noqa: ARG002 - a seam
        """Give ordered jobs their sequences; one whose task is not known here has its place from its first claim on."""
        for one in jobs:
            task = self._tasks.get(one.row["name"])
            if task is not None:
                one.placed = (one.placed or NOWHERE)._replace(sequence=self._sequence(task, one))

    def periodic(self, write: Write, now: int) -> None:
        """Delete the gates of which nothing is known any more, of whatever feature, a part in each transaction."""
        after: str | None = ""
        while after is not None:
            after = write(partial(prune_gates, now=now, after=after)).after

    def explain(self, tx: Tx, job: JobRow, now: int) -> Sequence[Hold]:
        """Say which limit holds a waiting job, who is before it, and when it is free."""
        from lineshaft.features.limits.explain import explain

        return list(explain(tx, job, now, self._kinds, partial(passes_of_stored, self._tasks, self.passes)))

    def _sequence(self, task: Task[Any, Any, Any], one: Incoming) -> str:
        row = one.row
        orders = [keyed(task, order) for order in orders_of(one.options)[:1]]
        return passes_of(orders, GatedJob(row["name"], row["args"], row["tenant"], row["queue"]))[0].key

    def _keyed(self, task: Task[Any, Any, Any], options: Options) -> Sequence[Keyed]:
        """Return the limits of options; those of a task are worked out once."""
        found = tuple(keyed(task, one) for one in limits_of(options) if isinstance(one, _OURS))
        if options is task.defaults:
            self._compiled[task.name] = (options, found)
        return found
