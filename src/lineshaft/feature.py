"""The seams that a feature may fill. All of them do nothing, and with no feature in play they cost nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lineshaft.clock import HOUR, MINUTE
from lineshaft.explaining import Hold
from lineshaft.gates import Attempt, GatedJob, GateKind, Pass, Placed, Sample
from lineshaft.job import JobRow
from lineshaft.options import Options
from lineshaft.transitions import Stage

if TYPE_CHECKING:
    from lineshaft.clock import Clock
    from lineshaft.events import Subscribers

Read = Callable[[Callable[[Any], Any]], Any]
Write = Callable[[Callable[[Any], Any]], Any]


@dataclass(slots=True)
class Incoming:
    """A job on its way into the store. A feature may answer it with a job that exists: nothing new is stored then."""

    row: dict[str, Any]
    """The row to be stored, `store.enqueue.NewRow`."""
    options: Options
    unique_text: str | None
    existing_id: str | None = None
    placed: Placed | None = None
    """Where it stands, if that is not simply at its time in its queue."""
    fair_text: str | None = None
    """The text of its `fair_key`: whose turn it takes, where its queue is fair by key."""


class Ended(NamedTuple):
    """A job that has become final, in the transaction that made it so."""

    id: str
    claim: int
    stage: Stage
    tenant: str | None
    options: str
    """What was stored with it, as JSON text."""
    context: str | None
    """What it carries from the code that enqueued it."""
    started_at: int
    """When it was claimed for the attempt that ended, in microseconds; when it ended, if nobody had claimed it."""


class Duty(ABC):
    """Something that one process does for all, the leader; each duty has a thread there.

    Another leader may do it at the same time for a moment: whatever it does is idempotent by key.
    """

    name: str
    """What its thread is called behind `lineshaft-`, and how others name it."""

    wake: Callable[[], None] = staticmethod(lambda: None)
    """Has it called soon, from any thread; put there by the leader, and without effect where nobody leads."""

    @abstractmethod
    def begin(self, now: int) -> None:
        """Forget what was known: this process has just become the leader."""

    @abstractmethod
    def step(self, now: int) -> int:
        """Do one piece of a few milliseconds and return the instant at which to be called again, if nobody wakes it."""

    @property
    @abstractmethod
    def doing(self) -> str | None:
        """What it does now, or waits for, in a few words for `lineshaft workers list`; None: nothing to speak of."""


class Chore(NamedTuple):
    """Housekeeping of the store, which the leader does whenever the schedule of the same name ticks."""

    name: str
    every: int
    """How often, in microseconds, unless somebody changes its schedule."""
    description: str


PRUNE_JOBS: Final = Chore("lineshaft.prune-jobs", MINUTE, "deletes finished jobs that have been kept for long enough")
PRUNE_LEFTOVERS: Final = Chore(
    "lineshaft.prune-leftovers",
    HOUR,
    "deletes logs, unique keys and large values of jobs that are gone, and what else features have to tidy up",
)
CHORES: Final = (PRUNE_JOBS, PRUNE_LEFTOVERS)
"""All of the store's housekeeping."""


@dataclass(frozen=True, slots=True)
class Office:
    """What a duty works with; `engine` is an `engines.base.Engine`."""

    engine: Any
    clock: Clock
    subscribers: Subscribers
    begin_chore: Callable[[str], bool]
    """Has a chore of the store's housekeeping done soon, by its name; False when there is none of that name."""


class Feature:
    """One feature; `tx` is the open transaction (`engines.base.Tx`), `now` microseconds since the epoch."""

    @property
    def watched(self) -> frozenset[str]:
        """The names of tasks whose completions it is told of, whatever is stored with the jobs; as of `refresh`."""
        return frozenset()

    def refresh(self, read: Read, now: int) -> None:
        """Look at what may have changed, by `read(operation)`; on each heartbeat, and before the first job.

        An error counts as one of the heartbeat.
        """

    def wants(self, options: Options) -> bool:  # noqa: ARG002 - a seam
        """Tell whether jobs with these options concern this feature at enqueue."""
        return False

    def before_enqueue(self, tx: Any, jobs: Sequence[Incoming], now: int) -> None:
        """Look at jobs about to be stored, in the transaction that stores them."""

    @property
    def kinds(self) -> Sequence[GateKind]:
        """The ways of limiting that this feature knows."""
        return ()

    def passes(self, options: Options, job: GatedJob) -> Sequence[Pass]:  # noqa: ARG002 - a seam
        """Return the gates that a job has to pass, by its task's options and those stored with it.

        Raises `ConfigError` when a key cannot be taken from its arguments.
        """
        return ()

    def limits(self, options: Options) -> bool:  # noqa: ARG002 - a seam
        """Tell whether jobs with these options have gates to pass: the others are never asked about."""
        return False

    def read_error(self, options: Options, error: BaseException) -> Mapping[str, Any]:  # noqa: ARG002 - a seam
        """Return what this feature has to know of an error, in plain values; where the job ran, while it is at hand."""
        return {}

    def samples(self, options: Options, attempt: Attempt) -> Sequence[Sample]:  # noqa: ARG002 - a seam
        """Return what an attempt's end tells its gates, for those that learn from it."""
        return ()

    def after_finish(self, tx: Any, ended: Sequence[Ended], now: int, *, is_certain: bool) -> None:
        """Look at jobs that have become final, in the transaction that made them so; an error undoes it.

        Shown are those with something in their stored options: what a feature has to know at the end is put there.
        Unless `is_certain`, some of them may have been shown before, in a transaction that was committed.
        """

    def after_completion(self, tx: Any, tasks: Collection[str], now: int) -> None:
        """Note that jobs of these tasks, all of them `watched`, have completed, in the transaction that made them so.

        A job that completes in its own transaction is told of in the next one; the same completion may be told twice.
        """

    def explain(self, tx: Any, job: JobRow, now: int) -> Sequence[Hold]:  # noqa: ARG002 - a seam
        """Say what of this feature holds an unfinished job, the most decisive first; a read of bounded cost."""
        return ()

    def duties(self, office: Office) -> Sequence[Duty]:  # noqa: ARG002 - a seam
        """Return what the leader has to do for this feature; made anew for each worker."""
        return ()

    def periodic(self, write: Write, now: int) -> None:
        """Do what has to be done about once an hour; `write(operation)` runs `operation(tx)` in a transaction."""


def announce(features: Sequence[Feature], tx: Any, jobs: Sequence[Incoming], now: int) -> None:
    """Show jobs about to be stored to the features that want them."""
    for feature in features:
        chosen = [one for one in jobs if feature.wants(one.options)]
        if chosen:
            feature.before_enqueue(tx, chosen, now)


def show(
    features: Sequence[Feature], tx: Any, ended: Iterable[Ended | None], now: int, *, is_certain: bool = True
) -> None:
    """Show jobs that have ended to every feature."""
    shown = [one for one in ended if one is not None]
    if shown:
        for feature in features:
            feature.after_finish(tx, shown, now, is_certain=is_certain)
