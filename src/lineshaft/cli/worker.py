"""`lineshaft worker`: runs jobs until told to stop, in this process or in several under it."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from lineshaft.cli.introduction import how_to_stop, introduce, queues_text
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.clock import SECOND, SystemClock, to_micros
from lineshaft.config import parse_store
from lineshaft.errors import ConfigError, LineshaftError
from lineshaft.version import VERSION
from lineshaft.worker import link, logs
from lineshaft.worker.health import Health
from lineshaft.worker.kinship import adopts_orphans, die_with
from lineshaft.worker.notify import Notifier
from lineshaft.worker.pulse import Pulse
from lineshaft.worker.signals import Inbox, StopRequested
from lineshaft.worker.supervisor import DRAINED, RECYCLE, Supervisor

if TYPE_CHECKING:
    from lineshaft import Lineshaft
    from lineshaft.worker.worker import Worker

_log = logging.getLogger("lineshaft.worker")

_FORMATS: Final = click.Choice(["plain", "json"])
_LEVELS: Final = click.Choice(["debug", "info", "warning", "error"])


@dataclass(frozen=True, slots=True)
class Plan:
    """What the command was asked to do."""

    queues: str | None
    processes: int
    slots: int | None
    weights: str | None
    ageing: str | None
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
            "--weights": self.weights,
            "--ageing": self.ageing,
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


def _checked_order(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse here what no worker would take: under a supervisor each would fail, again and again."""
    from lineshaft.app.serving import Serving, check_serving

    try:
        check_serving(**(Serving(weights=value) if parameter.name == "weights" else Serving(ageing=value)))
    except ConfigError as error:
        raise click.BadParameter(str(error), context, parameter) from error
    return value


@click.command()
@click.option(
    "--queues", metavar="NAME:N,…", help="Queues with their concurrency, in the order in which they are served."
)
@click.option("--processes", type=click.IntRange(1), default=1, show_default=True, help="How many worker processes.")
@click.option("--slots", type=click.IntRange(1), help="Most jobs at once in one process, over all its queues.")
@click.option(
    "--weights", metavar="NAME=N,…", callback=_checked_order, help="Each queue's share of the slots, not strict order."
)
@click.option(
    "--ageing", metavar="DURATION", callback=_checked_order, help="How much waiting is worth 50 of priority; NAME=10m,…"
)
@click.option("--grace", metavar="DURATION", callback=_seconds, help="Time for running jobs at the end, such as 25s.")
@click.option("--health-port", type=click.IntRange(0, 65535), help="Answer /livez and /readyz on this port.")
@click.option("--health-host", default="127.0.0.1", show_default=True, help="The address that answers them.")
@click.option(
    "--log-format", type=_FORMATS, default="plain", show_default=True, help="Text, or one JSON object a line."
)
@click.option("--log-level", type=_LEVELS, default="info", show_default=True, help="The least level that is logged.")
@shared_options("app", "store", "debug")
@pass_session
def worker(session: Session, /, **options: Any) -> int:
    """Run jobs until told to stop.

    SIGTERM and SIGINT let running jobs finish for --grace, then put them back for another worker; a second signal
    stops at once.
    """
    refuse_platform(sys.platform)
    plan = Plan(**options)
    logs.configure(plan.log_format, plan.log_level)
    supervisor = os.environ.pop(link.VARIABLE, None)
    if supervisor is not None:
        return _Supervised(session, plan, supervisor).run()
    # A process that is given orphans to reap must not run jobs: what these start cannot be told from orphans.
    return _supervise(session, plan) if plan.processes > 1 or adopts_orphans() else _Lone(session, plan).run()


def refuse_platform(platform: str) -> None:
    """Raise `LineshaftError` where there are no POSIX signals and file locks."""
    if platform == "win32":
        raise LineshaftError("workers need a POSIX system; on Windows run them in WSL or in a container")


class _OneWorker:
    """A worker as this process; what differs under a supervisor stands in the subclasses."""

    def __init__(self, session: Session, plan: Plan) -> None:
        from lineshaft.worker.main import Main

        self._session, self._plan = session, plan
        self._inbox = Inbox()
        self._open = ExitStack()
        self._main = Main(self._inbox, plan.grace)

    def run(self) -> int:
        """Run the worker and return the exit code."""
        with self._inbox.listening(), self._open:
            try:
                self._set_up()
                app = self._session.app()
                self._check(app)
                worker = self._main.start(lambda: _made(app, self._plan))
            except StopRequested:
                _log.info("stopped before the worker had started")
                return 0
            self._on_start(app, worker)
            code = self._main.run(worker, self._on_stop)
            _log.info("worker %d has stopped", worker.id)
            return self._end(worker, code)

    def _set_up(self) -> None:
        """Open what has to answer while the worker starts."""

    def _check(self, app: Lineshaft) -> None:
        """Refuse an app that cannot be served this way."""

    def _on_start(self, app: Lineshaft, worker: Worker) -> None:
        introduce(app, worker, self._session.app_path, is_lone=True)

    def _on_stop(self) -> None:
        grace = self._main.report().grace
        _log.info("stopping: running jobs have %g s to finish; a second signal stops at once", grace)

    def _end(self, worker: Worker, code: int) -> int:
        from lineshaft.worker import main

        if worker.has_abandoned_jobs:
            main.leave(code)
        main.leave_in_time(code)
        return code


def _made(app: Lineshaft, plan: Plan) -> Worker:
    return app.make_worker(plan.queues, slots=plan.slots, weights=plan.weights, ageing=plan.ageing)


class _Lone(_OneWorker):
    """A worker on its own, which starts itself anew when it has to."""

    def __init__(self, session: Session, plan: Plan) -> None:
        super().__init__(session, plan)
        self._notifier = Notifier()

    def _set_up(self) -> None:
        _answer_probes(self._plan, self._main.health, self._notifier, self._open)

    def _on_start(self, app: Lineshaft, worker: Worker) -> None:
        super()._on_start(app, worker)
        self._notifier.ready(f"running jobs of {queues_text(worker.queues)}")

    def _on_stop(self) -> None:
        super()._on_stop()
        self._notifier.stopping("letting running jobs finish")

    def _end(self, worker: Worker, code: int) -> int:
        from lineshaft.worker import main

        if code == RECYCLE:
            main.start_anew(sys.orig_argv[1:])
        return super()._end(worker, code)


class _Supervised(_OneWorker):
    """A worker under a supervisor, which hears how it is and starts it anew."""

    def __init__(self, session: Session, plan: Plan, supervisor: str) -> None:
        super().__init__(session, plan)
        self._link_fd, self._pid, self._count = map(int, supervisor.split(","))

    def _set_up(self) -> None:
        die_with(self._pid)
        self._link = link.Link(self._link_fd, self._inbox.put)
        self._report()

    def _check(self, app: Lineshaft) -> None:
        if self._count > 1 and parse_store(app.settings.store).kind == "memory":
            raise ConfigError(
                "a store in memory lives in one process, the others would see none of its jobs; "
                "take --processes 1, or a store in a file such as sqlite:///jobs.db"
            )

    def _on_start(self, app: Lineshaft, worker: Worker) -> None:
        introduce(app, worker, self._session.app_path, is_lone=False)
        self._report()
        Pulse(worker.runtime.settings.heartbeat / SECOND, self._report)

    def _on_stop(self) -> None:
        self._report()

    def _end(self, worker: Worker, code: int) -> int:
        return super()._end(worker, DRAINED if worker.is_drained else code)

    def _report(self) -> None:
        self._link.report(self._main.report())


def _supervise(session: Session, plan: Plan) -> int:
    notifier = Notifier()
    is_watched = plan.health_port is not None or notifier.watchdog_seconds is not None
    supervisor = Supervisor(
        [sys.executable, "-m", "lineshaft", *_shared(session), "worker", *plan.arguments()],
        plan.processes,
        SystemClock(),
        on_change=_teller(notifier, plan.processes),
        beat_seconds=1.0 if is_watched else None,
        adopts_orphans=adopts_orphans(),
    )
    with Inbox().listening(), ExitStack() as stack:
        try:
            _answer_probes(plan, supervisor.health, notifier, stack)
            _log.info("lineshaft %s, %d worker processes; %s", VERSION, plan.processes, how_to_stop())
            return supervisor.run()
        except StopRequested:
            return 0


def _shared(session: Session) -> list[str]:
    """Return the shared options as they were given: the worker processes find the app as this one would."""
    named = [text for name in ("app", "store") if (value := session.given.get(name)) for text in (f"--{name}", value)]
    return [*named, *(["--debug"] if session.is_debug else [])]


def _answer_probes(plan: Plan, health: Callable[[], Health], notifier: Notifier, stack: ExitStack) -> None:
    """Answer over HTTP and to systemd's watchdog, for as long as the stack is open."""
    if plan.health_port is not None:
        from lineshaft.worker.health_server import HealthServer

        server = HealthServer(plan.health_host, plan.health_port, health)
        stack.callback(server.close)
        _log.info("health checks on http://%s:%d/livez and /readyz", plan.health_host, server.port)
    if notifier.watchdog_seconds is not None:
        stack.callback(Pulse(notifier.watchdog_seconds / 2, _say_alive(health, notifier)).close)


def _say_alive(health: Callable[[], Health], notifier: Notifier) -> Callable[[], None]:
    def say() -> None:
        if health().live:
            notifier.alive()

    return say


def _teller(notifier: Notifier, count: int) -> Callable[[Health], None]:
    """Return what passes a supervisor's health on to systemd: ready once, when all processes were ready."""
    was_ready = False

    def tell(health: Health) -> None:
        nonlocal was_ready
        ready = sum(state == "ready" for state in (health.processes or {}).values())
        status = f"{ready} of {count} worker processes ready"
        if health.state == "draining":
            notifier.stopping("letting running jobs finish")
        elif health.is_ready and not was_ready:
            was_ready = True
            notifier.ready(status)
        else:
            notifier.status(status)

    return tell
