"""`lineshaft demo` from start to end: enqueue, run a worker, watch, reduce, report."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from lineshaft import Lineshaft
from lineshaft.demo.progress import Tally, live_progress
from lineshaft.demo.report import Report, Scan
from lineshaft.demo.summary import summarise
from lineshaft.demo.tasks import PAGE, QUEUE, match_slowly, measure, reduce, scan, wait_for_cancel
from lineshaft.demo.terminal import print_hints, print_report, print_summary
from lineshaft.errors import ConfigError, LineshaftError
from lineshaft.transitions import FINAL, State
from lineshaft.worker_process import WorkerProcess, running_worker

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from lineshaft import Job, NewJob

T = TypeVar("T")

APP: Final = "lineshaft.demo.tasks:app"
LOG: Final = "worker.log"
_WORKER_OPTIONS: Final = ("--queues", QUEUE, "--processes", "2")
_TICK_SECONDS: Final = 0.25
_STALLED_TICKS: Final = 240
_REDUCE_SECONDS: Final = 60
_BESIDE_FILES: Final = 3
"""The scan, the slow job and the cancelled one."""


def run_demo(store: str | None, directory: Path, *, files: int | None = None, console: Console) -> int:
    """Run the demo and return the exit code 0.

    `store` is the address of a store (None: the file `jobs.db` in `directory`); `directory` is made if missing and
    keeps the store, the page `report.html` and the worker's log; `files` limits how many files are measured.
    Raises `ConfigError` when an argument cannot serve, `LineshaftError` when the run breaks off.
    """
    _check(store, files)
    directory = _make(directory)
    store = store or f"sqlite:///{directory / 'jobs.db'}"
    app = Lineshaft(store)
    try:
        _Run(app, store, directory, console).execute(files)
    finally:
        app.close()
    return 0


def _check(store: str | None, files: int | None) -> None:
    if store and store.startswith("memory:"):
        msg = f"the demo cannot run on {store}: its worker is another process; give a SQLite file or PostgreSQL"
        raise ConfigError(msg)
    if files is not None and files < 1:
        msg = f"the demo cannot measure {files} files; give a number from 1, or none for all"
        raise ConfigError(msg)


def _make(directory: Path) -> Path:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / LOG).touch()
    except OSError as error:
        msg = f"the demo cannot write to {directory}: {error.strerror}; name another folder with --dir"
        raise ConfigError(msg) from error
    return directory.resolve()


class _Run:
    """One run of the demo; its tag tells its jobs from those of other runs in the same store."""

    def __init__(self, app: Lineshaft, store: str, directory: Path, console: Console) -> None:
        self._app = app
        self._store = store
        self._directory = directory
        self._console = console
        self._tag = f"demo-{secrets.token_hex(3)}"
        self._scanned: Scan | None = None

    def execute(self, files: int | None) -> None:
        """Enqueue, run, watch, reduce and print."""
        scanning, _, waiting = self._enqueue(files)
        with running_worker(APP, self._store, *_WORKER_OPTIONS, log=self._directory / LOG) as worker:
            tally = self._watch(worker, scanning.id, waiting.id)
            report = self._reduce()
        measured = self._app.jobs.iter(tag=self._tag, name=measure.name)
        print_report(self._console, report)
        print_summary(self._console, summarise(measured), tally)
        print_hints(self._console, self._store, report, self._directory / PAGE)

    def _enqueue(self, files: int | None) -> list[Job[Any]]:
        tags = [self._tag]
        new_jobs: list[NewJob[Any]] = [
            scan.options(tags=tags).new(self._tag, self._directory, files),
            match_slowly.options(tags=tags).new(),
            wait_for_cancel.options(tags=tags).new(),
        ]
        return self._app.enqueue_many(new_jobs)

    def _watch(self, worker: WorkerProcess, scan_id: str, waiting_id: str) -> Tally:
        """Show the progress until no job is left; cancel the waiting one once it runs."""
        with live_progress(self._console) as show:
            before, stalled = None, 0
            while not (tally := self._tally(scan_id)).is_done:
                show(tally)
                self._cancel_if_running(waiting_id)
                worker.watch(_TICK_SECONDS)
                before, stalled = tally, stalled + 1 if tally == before else 0
                self._check_moves(stalled)
            show(tally)
        return tally

    def _tally(self, scan_id: str) -> Tally:
        if self._scanned is None and self._app.jobs.get(scan_id).state in FINAL:
            self._scanned = self._value(scan_id, Scan)
        return Tally(
            total=self._scanned.files + _BESIDE_FILES if self._scanned else 0,
            completed=self._count(State.COMPLETED),
            retrying=self._count(State.RETRYING),
            dead=self._count(State.DEAD),
            cancelled=self._count(State.CANCELLED),
        )

    def _count(self, state: State) -> int:
        return self._app.jobs.count(tag=self._tag, state=state)

    def _cancel_if_running(self, job_id: str) -> None:
        job = self._app.jobs.get(job_id)
        if job.state == State.RUNNING:
            job.cancel()

    def _check_moves(self, stalled: int) -> None:
        if stalled > _STALLED_TICKS:
            msg = f"the demo's jobs {self._tag} have not moved for a minute; read {self._directory / LOG}"
            raise LineshaftError(msg)

    def _reduce(self) -> Report:
        assert self._scanned is not None
        new_job = reduce.options(tags=[self._tag]).new(self._tag, self._scanned, self._directory)
        [job] = self._app.enqueue_many([new_job])
        job.wait(timeout=_REDUCE_SECONDS)
        return self._value(job.id, Report)

    def _value(self, job_id: str, type_: type[T]) -> T:
        """Return a result; this app knows no task, only names, and is given plain JSON."""
        return msgspec.convert(self._app.jobs.get(job_id).value, type_)
