"""The end of a job enqueues what follows it: both are in one transaction, so there is never one without the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lineshaft.feature import Ended, Feature, announce
from lineshaft.features.followup.rules import followers
from lineshaft.store.placing import store_incoming

if TYPE_CHECKING:
    from lineshaft.engines.base import Tx


class FollowUpFeature(Feature):
    """Stores the `on_success` and `on_failure` of jobs that end; `others` are the features that look at new jobs."""

    def __init__(self, others: Sequence[Feature]) -> None:
        self._others = others

    def after_finish(self, tx: Tx, ended: Sequence[Ended], now: int, *, is_certain: bool) -> None:
        """Enqueue what follows these jobs; a queue that is full takes it too, for an end cannot be refused."""
        jobs = followers(ended, now)
        if not jobs:
            return
        announce(self._others, tx, jobs, now)
        store_incoming(tx, jobs, now, is_resend=not is_certain, is_limited=False)
