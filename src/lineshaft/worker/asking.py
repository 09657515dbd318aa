"""Which gates a job has to pass, by its task's options and by those that are stored with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from lineshaft.errors import ConfigError, UnknownTaskError
from lineshaft.feature import Feature
from lineshaft.gates import GatedJob, GateKind, Kind, Pass
from lineshaft.options import Options, apply_execution
from lineshaft.options.flow import FLOW
from lineshaft.registry import TaskRegistrar
from lineshaft.worker.verdict import ordered

_STORED: Final = tuple(f'"{option}":' for option in FLOW)
"""How limits show in the text of the options that are stored with a job."""
_UNKNOWN: Final[tuple[Sequence[Feature], Options]] = (), Options()


class Asker:
    """Asks the features that limit; for the jobs of a task without limits it looks at a dictionary."""

    def __init__(self, tasks: TaskRegistrar, features: Iterable[Feature]) -> None:
        self._tasks = tasks
        self._features = [one for one in features if one.kinds]
        self.kinds: dict[Kind, GateKind] = {kind.name: kind for one in self._features for kind in one.kinds}
        self._limited: dict[str, tuple[Sequence[Feature], Options]] = {}
        """By task, the features that limit its jobs unless those bring options of their own, and its options."""
        self.has_limits = False
        """Whether one of the tasks that were met has limits."""
        for task in tasks:
            self._meet(task.name)

    def concerns(self, name: str, stored: str | None) -> bool:
        """Tell whether limits may concern a job of this task with these stored options."""
        known = self._limited.get(name)
        if known is None:
            known = self._meet(name)
        return bool(known[0]) or (stored is not None and brings_limits(stored))

    def passes_of(self, job: GatedJob, stored: str | None) -> tuple[Pass, ...] | None:
        """Return what a job has to pass, in order; None when no limit concerns it, or nobody here can read its options.

        Raises `ConfigError` when its arguments do not give a key.
        """
        if stored is None:
            limiting, options = self._limited.get(job.name, _UNKNOWN)
            return _passes(limiting, options, job) if limiting else None
        try:
            options = apply_execution(self._tasks.find(job.name).defaults, msgspec.json.decode(stored))
        except (UnknownTaskError, ConfigError, TypeError, KeyError):
            return None  # whoever would run it says what is wrong with it
        return passes_by(self._features, options, job)

    def _meet(self, name: str) -> tuple[Sequence[Feature], Options]:
        try:
            options = self._tasks.find(name).defaults
        except UnknownTaskError:
            return _UNKNOWN
        limiting = [one for one in self._features if one.limits(options)]
        self._limited[name] = limiting, options
        self.has_limits |= bool(limiting)
        return limiting, options


def brings_limits(stored: str | None) -> bool:
    """Tell whether a job's stored options may name limits of its own."""
    return stored is not None and any(option in stored for option in _STORED)


def passes_by(features: Sequence[Feature], options: Options, job: GatedJob) -> tuple[Pass, ...] | None:
    """Return what a job with these options has to pass, in order; None when no limit concerns it."""
    limiting = [one for one in features if one.limits(options)]
    return _passes(limiting, options, job) if limiting else None


def _passes(limiting: Sequence[Feature], options: Options, job: GatedJob) -> tuple[Pass, ...]:
    if len(limiting) == 1:
        found = limiting[0].passes(options, job)
        return found if type(found) is tuple and len(found) == 1 else ordered(found)
    return ordered([found for one in limiting for found in one.passes(options, job)])
