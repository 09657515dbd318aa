"""The app of the bench's worker: the one that is measured, on the bench's store, with the task that tells its start."""

from __future__ import annotations

import os

from lineshaft import Lineshaft
from lineshaft.bench.tasks import MEASURED, add_tell_start
from lineshaft.options import import_by_path


def _measured_app() -> Lineshaft:
    found: Lineshaft = import_by_path(os.environ[MEASURED])
    store = os.environ["LINESHAFT_STORE"]
    if found.settings.store != store:  # the app may name one of its own
        found.use_store(store)
    add_tell_start(found)
    return found


app = _measured_app()
