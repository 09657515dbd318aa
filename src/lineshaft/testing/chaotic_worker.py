"""A worker process whose calls of the store fail; `Fleet` starts it: APP PARENT SEED RATE QUEUES."""

from __future__ import annotations

import importlib
import operator
import os
import sys
from typing import TYPE_CHECKING

from lineshaft.testing.chaos import chaos
from lineshaft.worker.kinship import die_with

if TYPE_CHECKING:
    from lineshaft import Lineshaft


def main(path: str, parent: str, seed: str, rate: str, queues: str) -> None:
    """Run the worker until a signal; it dies with its parent."""
    die_with(int(parent))
    module, _, name = path.partition(":")
    app: Lineshaft = operator.attrgetter(name)(importlib.import_module(module))
    store = os.environ["LINESHAFT_STORE"]
    if app.settings.store != store:
        app.use_store(store)
    with chaos(app, seed=int(seed), rate=float(rate), outages="2s"):
        app.run(queues or None)


if __name__ == "__main__":
    main(*sys.argv[1:])
