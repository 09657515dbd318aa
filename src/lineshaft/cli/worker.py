"""`lineshaft worker`: runs jobs until told to stop, in this process or in several under it."""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.clock import SECOND, SystemClock, to_micros, to_text
from lineshaft.errors import ConfigError, LineshaftError
from lineshaft.version import VERSION
from lineshaft.worker import link, logs
from lineshaft.worker.health import Health, HealthServer
from lineshaft.worker.notify import Notifier
from lineshaft.worker.pulse import Pulse
from lineshaft.worker.signals import Inbox, StopRequested
from lineshaft.worker.supervisor import RECYCLE, Supervisor

if TYPE_CHECKING:
    from lineshaft import Lineshaft
    from lineshaft.worker.worker import Worker

_log = logging.getLogger("lineshaft.worker")

_PR_GET_CHILD_SUBREAPER: Final = 37
_MOST_TASKS_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """What the command was asked to do."""

    queues: str | None
    processes: int
    slots: int | None
    grace: float | None
    health_host: str
    health_port: int | None
    log_format: logs.LogFormat
    log_level: str

    def arguments(self) -> list[str]:
        """Return the options of one worker process under a supervisor."""
        given: Mapping[str, object] = {
            "--queues": self.queues,
            "--processes": 1,
            "--slots": self.slots,
            "--grace": self.grace,
            "--log-format": self.log_format,
            "--log-level": self.log_level,
        }
        return [text for name, value in given.items() if value is not None for text in (name, str(value))]


def _seconds(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        return to_micros(float(value) if value.replace(".", "", 1).isdigit() else value, "--grace") / SECOND
    except ConfigError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.option("--queues", metavar="NAME:N,…", help="Queues with their concurrency, in the order in which they are served.")
@click.option("--processes", type=click.IntRange(1), default=1, show_default=True, help="How many worker processes.")
@click.option("--slots", type=click.IntRange(1), help="Most jobs at once in one process, over all its queues.")
@click.option("--grace", metavar="DURATION", callback=_seconds, help="Time for running jobs at the end, such as 25s.")
@click.option("--health-port", type=click.IntRange(0, 65535), help="Answer /livez and /readyz on this port.")
@click.option("--health-host", default="127.0.0.1", show_default=True, help="The address that answers them.")
@click.option("--log-format", type=click.Choice(["plain", "json"]), default="plain", show_default=True)
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True)
@shared_options("app", "store", "debug")
@pass_session
def worker(session: Session, **options: Any) -> int:
    """Run jobs until told to stop.

    SIGTERM and SIGINT let running jobs finish for --grace, then put them back for another worker; a second signal
    stops at once.
    """
    if sys.platform == "win32":
        raise LineshaftError("workers need a POSIX system; on Windows, run them in WSL or in a container")
    plan = Plan(**options)
    logs.configure(plan.log_format, plan.log_level)
    supervisor = os.environ.pop(link.VARIABLE, None)
    if supervisor is None and (plan.processes > 1 or _adopts_orphans()):
        return _supervise(session, plan)
    return _Lone(session, plan).run() if supervisor is None else _Supervised(session, plan, supervisor).run()


class _OneWorker:
    """A worker as this process; what differs under a supervisor stands in the subclasses."""

    def __init__(self, session: Session, plan: Plan) -> None:
        from lineshaft.worker.main import Main

        self._session, self._plan = session, plan
        self._inbox = Inbox()
        self._main = Main(self._inbox, plan.grace)

    def run(self) -> int:
        """Run the worker and return the exit code."""
        with self._inbox.listening(), ExitStack() as stack:
            try:
                self._set_up(stack)
                app = self._session.app()
                worker = app.make_worker(self._plan.queues, slots=self._plan.slots)
                code = self._main.run(worker, lambda: self._on_start(app, worker), self._on_stop)
            except StopRequested:
                _log.info("stopped before the worker had started")
                return 0
            _log.info("the worker has stopped")
            self._end(worker, code)
            return code

    def _set_up(self, stack: ExitStack) -> None:
        """Open what has to answer while the worker starts."""

    def _on_start(self, app: Lineshaft, worker: Worker) -> None:
        _introduce(app, worker, self._session.app_path, self._plan)

    def _on_stop(self) -> None:
        grace = self._main.report().grace
        _log.info("stopping: running jobs have %g s to finish; a second signal stops at once", grace)

    def _end(self, worker: Worker, code: int) -> None:
        from lineshaft.worker import main

        if worker.has_abandoned_jobs:
            main.leave(code)
        main.leave_in_time(code)


class _Lone(_OneWorker):
    """A worker on its own, which starts itself anew when it has to."""

    def __init__(self, session: Session, plan: Plan) -> None:
        super().__init__(session, plan)
        self._notifier = Notifier()

    def _set_up(self, stack: ExitStack) -> None:
        _answer_checks(self._plan, self._main.health, stack)
        if self._notifier.watchdog_seconds is not None:
            stack.callback(Pulse(self._notifier.watchdog_seconds / 2, self._say_alive).close)

    def _on_start(self, app: Lineshaft, worker: Worker) -> None:
        super()._on_start(app, worker)
        self._notifier.ready(f"running jobs of {_queues_text(worker.queues)}")

    def _on_stop(self) -> None:
        super()._on_stop()
        self._notifier.stopping("letting running jobs finish")

    def _say_alive(self) -> None:
        if self._main.health().live:
            self._notifier.alive()

    def _end(self, worker: Worker, code: int) -> None:
        from lineshaft.worker import main

        if code == RECYCLE:
            main.start_anew(sys.orig_argv[1:])
        super()._end(worker, code)


class _Supervised(_OneWorker):
    """A worker under a supervisor, which hears how it is and starts it anew."""

    def __init__(self, session: Session, plan: Plan, supervisor: str) -> None:
        from lineshaft.worker.kinship import die_with

        super().__init__(session, plan)
        fd, pid = map(int, supervisor.split(","))
        die_with(pid)
        self._link_fd = fd

    def _set_up(self, stack: ExitStack) -> None:
        self._link = link.Link(self._link_fd, self._inbox.put)
        self._report()

    def _on_start(self, app: Lineshaft, worker: Worker) -> None:
        if worker.runtime.engine.is_ephemeral:
            # What one process keeps in memory the others never see.
            raise ConfigError("a store in memory lives in one process; take --processes 1, or a file: sqlite:///jobs.db")
        super()._on_start(app, worker)
        self._report()
        Pulse(worker.runtime.settings.heartbeat / SECOND, self._report)

    def _on_stop(self) -> None:
        self._report()

    def _report(self) -> None:
        self._link.report(self._main.report())


def _supervise(session: Session, plan: Plan) -> int:
    notifier = Notifier()
    with ExitStack() as stack:
        watched = plan.health_port is not None or notifier.watchdog_seconds is not None
        supervisor = Supervisor(
            [sys.executable, "-m", "lineshaft", *_shared(session), "worker", *plan.arguments()],
            plan.processes,
            SystemClock(),
            on_change=_teller(notifier),
            beat_seconds=1.0 if watched else None,
            adopts_orphans=_adopts_orphans(),
        )
        _answer_checks(plan, supervisor.health, stack)
        if notifier.watchdog_seconds is not None:
            say_alive = lambda: notifier.alive() if supervisor.health().live else None  # noqa: E731 - one line
            stack.callback(Pulse(notifier.watchdog_seconds / 2, say_alive).close)
        _log.info("lineshaft %s: %d worker processes under process %d; %s", VERSION, plan.processes, os.getpid(), _HOW_TO_STOP)
        return supervisor.run()
