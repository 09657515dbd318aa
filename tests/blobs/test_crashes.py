"""Processes are killed while they write a blob: no job refers to half a content, and what is left goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft import Blob
from tests.blobs.conftest import SWEPT, prune_later
from tests.plugins.apps import LIMIT

if TYPE_CHECKING:
    from lineshaft import Lineshaft
    from tests.plugins.apps import StartProcess

WORK = Path(__file__).with_name("work.py")


def test_killed_while_enqueueing(
    app: Lineshaft, durable_url: str, folder: Path, files: Any, start_process: StartProcess
) -> None:
    """There is no job, half a content under no valid name, and after its time that is swept."""
    assert app.jobs.count() == 0
    process = start_process(WORK, durable_url, str(folder), "enqueue")
    process.expect("writing")
    process.kill()
    assert app.jobs.count() == 0
    [part] = files()
    assert part.suffix == ".part"
    prune_later(app, 0)
    assert files() == [part]
    prune_later(app, SWEPT)
    assert files() == []


@pytest.mark.parametrize("name", ["give_in_thread", "give_in_child"])
def test_killed_while_writing_a_result(
    name: str, app: Lineshaft, durable_url: str, folder: Path, files: Any, start_process: StartProcess
) -> None:
    """The job runs again on another worker, gives a whole result, and what the first one left goes with the job."""
    app.task(name=name)(_give)
    job = app._tasks[name].enqueue(Blob(b"begin"))
    holder = start_process(WORK, durable_url, str(folder), "hold")
    holder.expect("writing")
    holder.kill()
    start_process(WORK, durable_url, str(folder), "pass")
    result = job.result(LIMIT)
    assert result.read() == b"begin" + b"x" * (2 << 20) + b"end"
    assert [path.suffix for path in files()].count(".part") == 1
    prune_later(app, 5 * SWEPT)
    assert files() == []


def _give(blob: Blob) -> Blob:
    return blob
