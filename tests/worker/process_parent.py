"""A worker, as far as its children can tell, that a test kills: runs one job in a process lane and waits for ever."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.worker import process_app
from tests.worker.test_process_lane import PATH, Harness, make_run


def main(job: str, begun: str) -> None:
    """Start the job, or leave an idle child that ran one, and wait to be killed."""
    harness = Harness(1, PATH, {})
    if job == "idle":
        pid = harness.result(process_app.process_id)
        Path(begun).write_text(str(pid))
    else:
        harness.lane.submit([make_run(getattr(process_app, job), begun)])
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
