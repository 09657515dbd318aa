"""What stored jobs have to pass, for those who ask about them and do not run them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from lineshaft.errors import ConfigError, UnknownTaskError
from lineshaft.gates import GatedJob, Pass
from lineshaft.options import Options, apply_execution

if TYPE_CHECKING:
    from lineshaft.job import JobRow
    from lineshaft.task import Task


def passes_of_stored(
    tasks: Mapping[str, Task[Any, Any, Any]],
    passes: Callable[[Options, GatedJob], Sequence[Pass]],
    job: JobRow,
    stored: str | None,
) -> Sequence[Pass]:
    """Return the gates of a stored job; none where its task, or what was `stored` with it, says nothing here."""
    try:
        options = tasks[job.name].defaults
        if stored is not None:
            options = apply_execution(options, msgspec.json.decode(stored))
        return passes(options, GatedJob(job.name, job.args, job.tenant, job.queue))
    except (ConfigError, UnknownTaskError, TypeError, KeyError):
        return ()
