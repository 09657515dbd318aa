"""What can be said about a job when it is defined or enqueued, checked once and kept in the units of the store."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Final, Literal, TypedDict, cast

import msgspec

from lineshaft.clock import Duration, to_instant, to_micros
from lineshaft.errors import ConfigError
from lineshaft.retry import ONCE, Exponential, Fixed, Linear, Retry
from lineshaft.transitions import UNFINISHED, State

Lane = Literal["async", "thread", "process"]
PriorityName = Literal["critical", "high", "normal", "low", "background"]
OnConflict = Literal["skip", "replace", "error"]

PRIORITIES: Final[Mapping[str, int]] = {"critical": 100, "high": 50, "normal": 0, "low": -50, "background": -100}
LANES: Final = ("async", "thread", "process")


class _Unset:
    """The value of what was not said: None means something."""

    def __repr__(self) -> str:
        return "unset"


UNSET: Final[Any] = _Unset()


@dataclass(frozen=True, slots=True)
class Unique:
    """Lets one job of its kind exist at a time.

    `by` names the arguments that make jobs the same (default: all of them; `()`: none, one job a task). `within` makes
    it one job in that time since the existing one was enqueued, completed ones included. `states` are the states in
    which an existing job counts (default: every unfinished one, and with `within` completed too). `on_conflict`:
    `skip` returns the existing job, `replace` gives a waiting one the new arguments and times, `error` raises
    `UniqueConflictError`.
    """

    by: Sequence[str] | str | None = None
    within: Duration | None = None
    states: Sequence[State | str] | None = None
    on_conflict: OnConflict = "skip"

    def __post_init__(self) -> None:
        if self.on_conflict not in ("skip", "replace", "error"):
            msg = f"on_conflict={self.on_conflict!r} of Unique must be 'skip', 'replace' or 'error'"
            raise ConfigError(msg)
        self.window  # noqa: B018 - checks it
        self.counting  # noqa: B018 - checks it

    @property
    def names(self) -> tuple[str, ...] | None:
        """The arguments that count; None for all."""
        return (self.by,) if isinstance(self.by, str) else None if self.by is None else tuple(self.by)

    @property
    def window(self) -> int | None:
        """`within` in microseconds."""
        return None if self.within is None else to_micros(self.within, "within")

    @property
    def counting(self) -> frozenset[State]:
        """The states in which an existing job counts."""
        if self.states is None:
            return UNFINISHED if self.within is None else UNFINISHED | {State.COMPLETED}
        try:
            return frozenset(State(one) for one in self.states)
        except ValueError as error:
            msg = f"states={self.states!r} of Unique: {error}; states are {', '.join(State)}"
            raise ConfigError(msg) from None


class Execution(TypedDict, total=False):
    """How a job runs, where `.options()` said so: stored with it."""

    retry: dict[str, Any]
    timeout: int | None
    runs_in: Lane
    keep_result: int


@dataclass(frozen=True, slots=True)
class Options:
    """Checked options; durations and instants in microseconds."""

    queue: str = "default"
    priority: int = 0
    retry: Retry = field(default_factory=Retry)
    timeout: int | None = None
    delay: int | None = None
    run_at: int | None = None
    deadline: int | None = None
    deadline_in: int | None = None
    unique: Unique | None = None
    tags: tuple[str, ...] = ()
    meta: Mapping[str, Any] | None = None
    tenant: str | None = None
    runs_in: Lane | None = None
    keep_result: int | None = None
    """None: as the app's retention says; 0: not at all."""
    connection: Any = None

    def but(self, **given: Any) -> Options:
        """Return these options with others in place; raises `ConfigError` naming a wrong one."""
        said = {name: value for name, value in given.items() if value is not UNSET}
        if "delay" in said and "run_at" in said:
            msg = "delay and run_at say the same thing; give one of them"
            raise TypeError(msg)
        changes: dict[str, Any] = {}
        for name, value in said.items():
            changes |= _CHECKS[name](value)
        return replace(self, **changes)


def stored_execution(given: Mapping[str, Any], options: Options) -> Execution:
    """Return what of the given options has to travel with the job."""
    stored: Execution = {}
    if given.get("retry", UNSET) is not UNSET:
        stored["retry"] = dump_retry(options.retry)
    if given.get("timeout", UNSET) is not UNSET:
        stored["timeout"] = options.timeout
    if given.get("runs_in", UNSET) is not UNSET and options.runs_in is not None:
        stored["runs_in"] = options.runs_in
    if given.get("keep_result", UNSET) is not UNSET and options.keep_result is not None:
        stored["keep_result"] = options.keep_result
    return stored


def apply_execution(options: Options, stored: Mapping[str, Any]) -> Options:
    """Return a task's options with what was stored with one job in their place."""
    changes = dict(stored)
    if "retry" in changes:
        changes["retry"] = load_retry(changes["retry"])
    return replace(options, **changes)


# --- checks, one an option ----------------------------------------------------------------------------------------


def _queue(value: str) -> dict[str, Any]:
    if not isinstance(value, str) or not value or len(value) > _LONGEST_NAME or any(c in value for c in "\x00\n\r,:"):
        msg = f"queue={value!r} must be a name of 1 to {_LONGEST_NAME} characters without comma, colon or line break"
        raise ConfigError(msg)
    return {"queue": value}


_LONGEST_NAME: Final = 200


def _priority(value: int | str) -> dict[str, Any]:
    number = PRIORITIES.get(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int) or not -100 <= number <= 100:  # noqa: PLR2004
        msg = f"priority={value!r} must be a whole number from -100 to 100, or one of {', '.join(PRIORITIES)}"
        raise ConfigError(msg)
    return {"priority": number}


def _retry(value: Retry | None) -> dict[str, Any]:
    if value is None:
        return {"retry": ONCE}
    if not isinstance(value, Retry):
        msg = f"retry={value!r} must be a Retry(...), or None for a single attempt"
        raise ConfigError(msg)
    return {"retry": value}


def _timeout(value: Duration | None) -> dict[str, Any]:
    micros = None if value is None else to_micros(value, "timeout")
    if micros == 0:
        msg = "timeout=0 leaves no time to run; give a longer one, or None for no limit"
        raise ConfigError(msg)
    return {"timeout": micros}


def _delay(value: Duration | None) -> dict[str, Any]:
    return {"delay": None if value is None else to_micros(value, "delay"), "run_at": None}


def _run_at(value: datetime | None) -> dict[str, Any]:
    return {"run_at": None if value is None else to_instant(value, "run_at"), "delay": None}


def _deadline(value: Duration | datetime | None) -> dict[str, Any]:
    if value is None:
        return {"deadline": None, "deadline_in": None}
    if isinstance(value, datetime):
        return {"deadline": to_instant(value, "deadline"), "deadline_in": None}
    return {"deadline": None, "deadline_in": to_micros(value, "deadline")}


def _unique(value: Unique | None) -> dict[str, Any]:
    if value is not None and not isinstance(value, Unique):
        msg = f"unique={value!r} must be a Unique(...) or None"
        raise ConfigError(msg)
    return {"unique": value}


def _tags(value: Sequence[str]) -> dict[str, Any]:
    if isinstance(value, str) or not all(isinstance(tag, str) and tag for tag in value):
        msg = f"tags={value!r} must be a list of texts"
        raise ConfigError(msg)
    return {"tags": tuple(dict.fromkeys(value))}


def _meta(value: Mapping[str, Any] | None) -> dict[str, Any]:
    if value is not None and not (isinstance(value, Mapping) and all(isinstance(key, str) for key in value)):
        msg = f"meta={value!r} must be a mapping with text keys"
        raise ConfigError(msg)
    try:
        msgspec.json.encode(value)
    except (TypeError, ValueError) as error:
        msg = f"meta cannot be stored as JSON: {error}; give plain JSON values"
        raise ConfigError(msg) from None
    return {"meta": None if value is None else dict(value)}


def _tenant(value: str | None) -> dict[str, Any]:
    if value is not None and (not isinstance(value, str) or not value):
        msg = f"tenant={value!r} must be a text or None"
        raise ConfigError(msg)
    return {"tenant": value}


def _runs_in(value: str | None) -> dict[str, Any]:
    if value is not None and value not in LANES:
        msg = f"runs_in={value!r} must be one of {', '.join(map(repr, LANES))}"
        raise ConfigError(msg)
    return {"runs_in": value}


def _keep_result(value: Duration | Literal[False] | None) -> dict[str, Any]:
    if value is True:
        msg = "keep_result=True says nothing; give a duration such as '7d', or False"
        raise ConfigError(msg)
    return {"keep_result": None if value is None else 0 if value is False else to_micros(value, "keep_result")}


_CHECKS: Final[Mapping[str, Callable[[Any], dict[str, Any]]]] = {
    "queue": _queue,
    "priority": _priority,
    "retry": _retry,
    "timeout": _timeout,
    "delay": _delay,
    "run_at": _run_at,
    "deadline": _deadline,
    "unique": _unique,
    "tags": _tags,
    "meta": _meta,
    "tenant": _tenant,
    "runs_in": _runs_in,
    "keep_result": _keep_result,
    "connection": lambda value: {"connection": value},
}


# --- a retry policy as JSON: strategies by kind, functions and exception types by import path ---------------------

_STRATEGIES: Final[dict[str, type[Any]]] = {"exponential": Exponential, "linear": Linear, "fixed": Fixed}


def dump_retry(retry: Retry) -> dict[str, Any]:
    """Return a retry policy as JSON values; raises `ConfigError` when a callable in it cannot be imported by name."""
    return {
        "max_attempts": retry.max_attempts,
        "backoff": _dump_backoff(retry.backoff),
        "retry_on": _dump_errors("retry_on", retry.retry_on),
        "give_up_on": _dump_errors("give_up_on", retry.give_up_on),
    }


def load_retry(stored: Mapping[str, Any]) -> Retry:
    """Return the policy that `dump_retry` gave; raises `ConfigError` when something in it cannot be imported."""
    return Retry(
        max_attempts=stored["max_attempts"],
        backoff=_load_backoff(stored["backoff"]),
        retry_on=_load_errors(stored["retry_on"]),
        give_up_on=_load_errors(stored["give_up_on"]),
    )


def _dump_backoff(backoff: Any) -> dict[str, Any]:
    for kind, strategy in _STRATEGIES.items():
        if type(backoff) is strategy:
            values = {one.name: getattr(backoff, one.name) for one in fields(strategy)}
            times = {k: f"{to_micros(v) // 1000}ms" for k, v in values.items() if k in ("base", "cap", "wait")}
            return {"kind": kind, **values, **times}
    return {"call": _import_path("backoff", backoff)}


def _load_backoff(stored: Mapping[str, Any]) -> Any:
    if "call" in stored:
        return import_by_path(stored["call"])
    values = dict(stored)
    return _STRATEGIES[values.pop("kind")](**values)


def _dump_errors(name: str, errors: Any) -> Any:
    if isinstance(errors, tuple):
        return [_import_path(name, one) for one in errors]
    return _import_path(name, errors)


def _load_errors(stored: Any) -> Any:
    return tuple(map(import_by_path, stored)) if isinstance(stored, list) else import_by_path(stored)


def _import_path(name: str, thing: Any) -> str:
    path = f"{getattr(thing, '__module__', None)}:{getattr(thing, '__qualname__', None)}"
    try:
        found = import_by_path(path)
    except ConfigError:
        found = None
    if found is not thing:
        msg = f"{name}={thing!r} in options is stored with the job and so has to be importable by name"
        raise ConfigError(msg)
    return path


def import_by_path(path: str) -> Any:
    """Return what `module:qualified.name` names; raises `ConfigError` when it cannot be imported."""
    module, _, qualname = path.partition(":")
    try:
        thing: Any = importlib.import_module(module)
        for part in qualname.split("."):
            thing = getattr(thing, part)
    except (ImportError, AttributeError, ValueError) as error:
        msg = f"{path!r} cannot be imported: {error}"
        raise ConfigError(msg) from error
    return cast(Any, thing)
