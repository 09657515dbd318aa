"""The checks of options, one each: what is given, in the units of the store, or an error that names the option."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal

import msgspec

from lineshaft.clock import Duration, to_instant, to_micros
from lineshaft.errors import ConfigError
from lineshaft.options.flow import check_breaker, check_concurrency, check_rate
from lineshaft.options.followups import check_follow_ups
from lineshaft.options.unique import Unique
from lineshaft.retry import ONCE, Retry

Lane = Literal["async", "thread", "process"]
PriorityName = Literal["critical", "high", "normal", "low", "background"]

PRIORITIES: Final[Mapping[str, int]] = {"critical": 100, "high": 50, "normal": 0, "low": -50, "background": -100}
LANES: Final = ("async", "thread", "process")
_LONGEST_NAME: Final = 200


def _queue(value: str) -> dict[str, Any]:
    if not isinstance(value, str) or not value or len(value) > _LONGEST_NAME or any(c in value for c in "\x00\n\r,:"):
        msg = f"queue={value!r} must be a name of 1 to {_LONGEST_NAME} characters without comma, colon or line break"
        raise ConfigError(msg)
    return {"queue": value}


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


def _fair_key(value: str | None) -> dict[str, Any]:
    if value is not None and (not isinstance(value, str) or not value):
        msg = f"fair_key={value!r} must name the argument by which jobs take turns in fair queues, or be None"
        raise ConfigError(msg)
    return {"fair_key": value}


def _keep_result(value: Duration | Literal[False] | None) -> dict[str, Any]:
    if value is True:
        msg = "keep_result=True says nothing; give a duration such as '7d', or False"
        raise ConfigError(msg)
    return {"keep_result": None if value is None else 0 if value is False else to_micros(value, "keep_result")}


CHECKS: Final[Mapping[str, Callable[[Any], dict[str, Any]]]] = {
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
    "on_success": partial(check_follow_ups, "on_success"),
    "on_failure": partial(check_follow_ups, "on_failure"),
    "concurrency": check_concurrency,
    "rate": check_rate,
    "breaker": check_breaker,
    "fair_key": _fair_key,
    "connection": lambda value: {"connection": value},
}
