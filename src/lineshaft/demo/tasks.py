"""The demo's tasks: `lineshaft --app lineshaft.demo.tasks:app worker` runs them on `$LINESHAFT_STORE`."""

from __future__ import annotations

import asyncio
import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lineshaft import Fixed, Lineshaft, Retry
from lineshaft.demo.corpus import choose, damage_copies, library_root, python_files, ships_damaged
from lineshaft.demo.measure import FileMeasure, measure_file
from lineshaft.demo.page import render_page
from lineshaft.demo.report import DeadLetter, Report, Scan, reduce_measures

if TYPE_CHECKING:
    from lineshaft import Job

QUEUE: Final = "demo"
PAGE: Final = "report.html"

app = Lineshaft()


@app.task(queue=QUEUE, priority="high", retry=None)
def scan(run: str, directory: Path, limit: int | None) -> Scan:
    """Enqueue one `measure` for each file of the standard library, tagged with the run, in one round trip.

    Damaged copies are written to `directory`, beyond the limit, if this Python ships without the files that do not
    parse. Raises `FileNotFoundError` when the library's sources are not there, as in a frozen program.
    """
    root = library_root()
    found = python_files(root)
    if not found:
        msg = f"no Python file stands in {root}; run the demo with a Python whose standard library is a folder"
        raise FileNotFoundError(msg)
    names = choose(found, limit)
    copies = [] if ships_damaged(found) else damage_copies(root, found, directory)
    files = [(root, name) for name in names] + [(directory, name) for name in copies]
    tagged = measure.options(tags=[run])
    app.enqueue_many([tagged.new(folder, name) for folder, name in files])
    return Scan(platform.python_version(), str(root), len(files), len(copies))


# A damaged file is as damaged the next time: it is tried again to show how retries and dead letters look.
@app.task(queue=QUEUE, retry=Retry(max_attempts=3, backoff=Fixed("200ms")))
def measure(root: Path, path: str) -> FileMeasure:
    """Parse and measure one file."""
    return measure_file(root, path)


@app.task(queue=QUEUE, priority="high", retry=None, timeout=1, runs_in="process")
def match_slowly() -> bool:
    """Match a pattern that backtracks 2**40 times, which only killing its process can stop after a second."""
    return re.fullmatch(r"(a+)+", "a" * 40 + "b") is not None


@app.task(queue=QUEUE, priority="high", retry=None, timeout="5m")
async def wait_for_cancel() -> None:
    """Wait far longer than the demo takes: the demo cancels it."""
    await asyncio.sleep(240)


@app.task(queue=QUEUE)
def reduce(run: str, scanned: Scan, directory: Path) -> Report:
    """Reduce the results and dead letters of one run to a report, and write its page to `directory`."""
    measured = app.jobs.iter(tag=run, name=measure.name, state="completed")
    dead = app.jobs.iter(tag=run, state="dead")
    report = reduce_measures(run, scanned, (job.value for job in measured), map(dead_letter, dead))
    (directory / PAGE).write_text(render_page(report), encoding="utf-8")
    return report


def dead_letter(job: Job[Any]) -> DeadLetter:
    """Return what the report shows of a dead job: of a file's job its path, of others the task."""
    last = job.errors[-1]
    subject = job.args[0][1] if job.name == measure.name else job.name.rpartition(".")[2]
    return DeadLetter(job.id, subject, str(job.reason), job.attempt, last["type"], last["message"])
