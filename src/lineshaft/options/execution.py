"""What travels with a job: how it runs where `.options()` said so, and the jobs that follow it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypedDict

from lineshaft.errors import UnknownTaskError
from lineshaft.options.checks import Lane
from lineshaft.options.flow import FLOW, dump_flow, load_flow
from lineshaft.options.followups import FOLLOWED, follow_ups_of
from lineshaft.options.options import Options
from lineshaft.options.retries import dump_retry, load_retry
from lineshaft.options.template import JobTemplate
from lineshaft.options.unset import UNSET
from lineshaft.version import VERSION

_AT_THE_END: Final = frozenset({*FOLLOWED, "schedule"})
"""What features have to know when the job ends; it says nothing of how it runs."""


class Execution(TypedDict, total=False):
    """What is stored with a job beside its columns."""

    retry: dict[str, Any]
    timeout: int | None
    runs_in: Lane
    keep_result: int
    concurrency: Sequence[Mapping[str, Any]]
    rate: Sequence[Mapping[str, Any]]
    breaker: Sequence[Mapping[str, Any]]
    on_success: Sequence[JobTemplate]
    on_failure: Sequence[JobTemplate]


_KNOWN: Final = frozenset(Execution.__annotations__) | _AT_THE_END


def stored_execution(given: Mapping[str, Any], options: Options) -> Execution:
    """Return what of the options has to travel with the job: how it runs where that was given, and what follows it.

    Raises `ConfigError` and `PayloadTooLargeError`, naming the option, when that cannot be stored.
    """
    stored: Execution = {}
    if given.get("retry", UNSET) is not UNSET:
        stored["retry"] = dump_retry(options.retry)
    if given.get("timeout", UNSET) is not UNSET:
        stored["timeout"] = options.timeout
    if given.get("runs_in", UNSET) is not UNSET and options.runs_in is not None:
        stored["runs_in"] = options.runs_in
    if given.get("keep_result", UNSET) is not UNSET and options.keep_result is not None:
        stored["keep_result"] = options.keep_result
    for option in FLOW:
        if given.get(option, UNSET) is not UNSET:
            stored[option] = dump_flow(option, getattr(options, option))
    if options.on_success:
        stored["on_success"] = follow_ups_of("on_success", options.on_success)
    if options.on_failure:
        stored["on_failure"] = follow_ups_of("on_failure", options.on_failure)
    return stored


def apply_execution(options: Options, stored: Mapping[str, Any]) -> Options:
    """Return a task's options with what was stored with one job in their place.

    Raises `UnknownTaskError` when code that is newer than this has said how the job runs.
    """
    unknown = sorted(stored.keys() - _KNOWN)
    if unknown:
        msg = f"the job has the option {unknown[0]!r}, which Lineshaft {VERSION} does not know; upgrade it here"
        raise UnknownTaskError(msg)
    changes = {name: value for name, value in stored.items() if name not in _AT_THE_END}
    if "retry" in changes:
        changes["retry"] = load_retry(changes["retry"])
    changes |= {option: load_flow(option, changes[option]) for option in FLOW if option in changes}
    return replace(options, **changes)
