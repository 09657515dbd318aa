"""The options of a job, checked once and kept in the units of the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lineshaft.errors import ConfigError
from lineshaft.options.breaker import Breaker
from lineshaft.options.checks import CHECKS, Lane
from lineshaft.options.flow import Place
from lineshaft.options.limits import Rate
from lineshaft.options.pace import Debounce
from lineshaft.options.unique import Unique
from lineshaft.options.unset import UNSET
from lineshaft.retry import Retry

if TYPE_CHECKING:
    from lineshaft.newjob import NewJob


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
    on_success: tuple[NewJob[Any], ...] = ()
    on_failure: tuple[NewJob[Any], ...] = ()
    concurrency: tuple[Place, ...] = ()
    rate: tuple[Rate, ...] = ()
    breaker: tuple[Breaker, ...] = ()
    fair_key: str | None = None
    connection: Any = None

    def but(self, **given: Any) -> Options:
        """Return these options with others in place; raises `ConfigError` naming a wrong one."""
        said = {name: value for name, value in given.items() if value is not UNSET}
        if "delay" in said and "run_at" in said:
            msg = "delay and run_at say the same thing; give one of them"
            raise TypeError(msg)
        changes: dict[str, Any] = {}
        for name, value in said.items():
            changes |= CHECKS[name](value)
        changed = replace(self, **changes)
        if changed.unique is not None and isinstance(changed.unique.pace, Debounce):
            _refuse_own_time(changed)
        return changed


def _refuse_own_time(options: Options) -> None:
    name = "run_at" if options.run_at is not None else "delay" if options.delay else None
    if name is not None:
        msg = f"{name} cannot stand beside Unique.debounce, which says when the job runs; give one of them"
        raise ConfigError(msg)
