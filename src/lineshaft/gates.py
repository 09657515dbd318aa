"""Gates: what a job has to pass before it may start. Values and decisions only; the store and the worker act on them.

A gate is one key of a limit: the three places of `report` for customer 42, the tokens of an API, the breaker of a
dependency. A job that a gate refuses stands in its line, out of sight of claims, until the gate releases it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from lineshaft.outcomes import Outcome

Kind = Literal["breaker", "order", "rate", "concurrency", "adaptive"]
KINDS: Final[tuple[Kind, ...]] = ("breaker", "order", "rate", "concurrency", "adaptive")
"""In the order in which a job passes them: it stands in the line of the first that refuses it."""


class Pass(NamedTuple):
    """One gate that one job has to pass."""

    key: str
    """The gate: the rule's name, or `name=value`; with the tenant where the limit is per tenant."""
    rule: str
    kind: Kind
    terms: str
    """What the code says of the limit, as JSON: it holds until the store knows the rule."""
    cost: int = 1
    """How many tokens it takes; 1 place of whatever counts places."""


class Gate(NamedTuple):
    """A gate as it is read under its lock, in the transaction that decides."""

    key: str
    rule: str
    declared: str | None
    """What the code said of the rule that last started a worker, as JSON; None: the store does not know it."""
    overrides: str | None
    """What a person changed, as JSON."""
    tat: int
    """The theoretical arrival time of a rate's next token, in microseconds (GCRA)."""
    state: str | None
    """What a breaker or a limit that learns remembers, as JSON."""
    wake_at: int | None
    """When somebody looks at it next; not None exactly while it has a line."""
    held: int
    """How many jobs inside it workers hold."""
    ready: int
    """How many it has released that nobody has claimed yet."""
    first: str | None
    """The first unfinished job of its sequence, of strict orders only."""
    kind: Kind | None = None
    """What kind of rule the store knows; None: it does not know it."""


class GatedJob(NamedTuple):
    """What is known of a job that asks for its gates."""

    name: str
    args: str
    """The stored text of its arguments."""
    tenant: str | None
    queue: str


class Attempt(NamedTuple):
    """An attempt that has ended, of a job that had gates to pass."""

    id: str
    name: str
    passes: tuple[Pass, ...]
    outcome: Outcome
    seconds: float
    """How long its code ran; 0 if it never started."""
    signals: Mapping[str, Any] | None = None
    """What features noted about the error while it was at hand, see `Feature.read_error`."""


class Sample(NamedTuple):
    """What an attempt's end tells one gate."""

    key: str
    rule: str
    kind: Kind
    terms: str
    said: Any
    """What the kind's judge understands."""


class Judge(ABC):
    """Decides for one gate in one transaction, under its lock; pure but for what it keeps of itself."""

    @abstractmethod
    def allows(self, one: Pass, job_id: str) -> bool:
        """Tell whether the job could pass now, without letting it."""

    @abstractmethod
    def let(self, one: Pass, job_id: str) -> None:
        """Let the job pass; asked only for one that all of its gates allow."""

    def hear(self, sample: Sample) -> None:  # noqa: B027 - most gates learn nothing from ends
        """Take in what an attempt's end says; before anything else is asked in this transaction."""

    @property
    def fails_refused(self) -> bool:
        """Whether a job that it refuses fails at once and is not to wait in the line."""
        return False

    @property
    def refusal(self) -> str:
        """What a job fails with that it refuses, as a message; asked only where `fails_refused`."""
        return ""

    @abstractmethod
    def to_release(self) -> int:
        """Return how many heads of its line may leave it now; 0 also when that is not known before `look_at`."""

    @abstractmethod
    def look_at(self) -> int:
        """Return when somebody has to look at the gate if it still has a line and nobody does before."""

    @property
    @abstractmethod
    def tat(self) -> int:
        """What to store as the gate's `tat`."""

    @property
    @abstractmethod
    def state(self) -> str | None:
        """What to store as the gate's `state`."""

    def news(self) -> tuple[News, ...]:
        """Return what changed that people want to know of: a breaker that opened, a limit that moved."""
        return ()


class GateKind(ABC):
    """One way of limiting; it has no state of its own."""

    name: Kind

    @abstractmethod
    def judge(self, gate: Gate, terms: str, now: int) -> Judge:
        """Return who decides for a gate in this transaction.

        `terms` are those of the pass that led here; `gate.declared` goes before them, and `gate.overrides` before all.
        `gate.held` counts only jobs that others hold: not those that the transaction decides about.
        """


@dataclass(frozen=True, slots=True)
class News:
    """Something about a gate that is kept for people, or told to those who listen."""

    gate: str
    rule: str
    kind: str
    """What happened: `breaker_opened`, `breaker_half_opened`, `breaker_closed`, `limit_changed`."""
    at: int
    value: float | None = None
    """The new limit, where it is one that learns."""
    why: str = ""


class Placed(NamedTuple):
    """Where a new job stands, when it is not simply at its time in its queue."""

    gate: str | None = None
    """The gate in whose line it stands; the job is parked then."""
    turn: int | None = None
    """Its place where its queue is fair."""
    sequence: str | None = None
    """The strict order that it belongs to."""
    fair: str | None = None
    """Whose turn it takes."""


NOWHERE: Final = Placed()
"""Simply at its time."""
