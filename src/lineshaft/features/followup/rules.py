"""Which jobs follow the end of another one, and the rows that they become: decided here, written elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from lineshaft.feature import Ended, Incoming
from lineshaft.ids import derived_id
from lineshaft.newjob import shared_row
from lineshaft.options import JobTemplate, job_of
from lineshaft.options.followups import PARENT, Followed
from lineshaft.transitions import Stage

_log = logging.getLogger("lineshaft.worker")

OPTION_OF: Final[Mapping[Stage, Followed]] = {
    Stage.COMPLETED: "on_success",
    Stage.DEAD: "on_failure",
    Stage.EXPIRED: "on_failure",
}
"""Which option counts at which end; a job that was cancelled or skipped is followed by nothing."""


class _Stored(msgspec.Struct, frozen=True):
    """The part of a job's stored options that is read here."""

    on_success: tuple[JobTemplate, ...] = ()
    on_failure: tuple[JobTemplate, ...] = ()


_decode: Final = msgspec.json.Decoder(_Stored).decode


def followers(ended: Sequence[Ended], now: int) -> list[Incoming]:
    """Return the jobs to be stored because these have ended, each as it becomes now."""
    return [one for job in ended if _may_be_followed(job) for one in _followers(job, now)]


def _may_be_followed(job: Ended) -> bool:
    # Most stored options are about retries and timeouts: to look for the word is cheaper than to parse them.
    return job.stage in OPTION_OF and OPTION_OF[job.stage] in job.options


def _followers(job: Ended, now: int) -> Iterator[Incoming]:
    option = OPTION_OF[job.stage]
    for place, one in enumerate(_stored(job, option)):
        new_job = job_of(one, meta={PARENT: job.id}, tenant=job.tenant)
        # The id comes of what ended: whoever writes that end again, maybe another process, names the same job. Its
        # place in the list is its place among the others: in a strict order they run as they are listed.
        job_id = derived_id(job.started_at, job.id, job.claim, option, place=place)
        row = {"id": job_id, **shared_row(new_job, now, job.context), "args": one.args}
        yield Incoming(row, new_job.options, one.unique_text, fair_text=one.fair_text)


def _stored(job: Ended, option: Followed) -> Sequence[JobTemplate]:
    try:
        found: tuple[JobTemplate, ...] = getattr(_decode(job.options), option)
    except msgspec.MsgspecError as error:  # of another version; the jobs that end with it must not wait for ever
        _log.error("job %s has ended, but its %s cannot be read and is not enqueued: %s", job.id, option, error)
        return ()
    return found
