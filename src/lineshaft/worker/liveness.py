"""Says that the worker lives, from a thread that no job can block, and does what has to happen meanwhile.

On each beat: renew the lock and the lease, rescue the jobs of dead workers, pass on requests to cancel, store
progress and logs, take back jobs that wait too long in a stalled lane, end jobs that are overdue.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from lineshaft.clock import HOUR, SECOND, Clock, to_datetime
from lineshaft.config import Retention, Settings
from lineshaft.engines.base import Engine, Tx, WorkerLock
from lineshaft.errors import StoreError, StoreUnavailableError
from lineshaft.events import JobExpired, JobProgressed, Subscribers
from lineshaft.feature import Feature, show
from lineshaft.store.claim import Expired, cancel_requests, expire_overdue
from lineshaft.store.epoch import epoch_began_at, last_worker
from lineshaft.store.finish import LogLines, Progress, save_logs, save_progress
from lineshaft.store.lead import Lead, oldest_heartbeat
from lineshaft.store.upkeep import Blocked, beat, set_blocked
from lineshaft.worker.admission import Admission
from lineshaft.worker.ended import expired_jobs
from lineshaft.worker.leading import Leading, NoLeader
from lineshaft.worker.rescuer import Rescuer
from lineshaft.worker.run import Run

_log = logging.getLogger("lineshaft.worker")

# A worker stops its jobs this long before its lease ends, so that none runs here and elsewhere at once.
_MARGIN: Final = 10 * SECOND
_MISSED_BEATS: Final = 3
# Whoever is poked all the time looks no more often than this.
_POKES_APART_SECONDS: Final = 0.02


class Upkeep:
    """What a worker does on each beat; `step` may be driven without the thread."""

    def __init__(
        self,
        engine: Engine,
        worker: int,
        lock: WorkerLock,
        settings: Settings,
        retention: Retention,
        rescuer: Rescuer,
        subscribers: Subscribers,
        held: Callable[[], Sequence[Run]],
        stop: Callable[[Run], None],
        on_lease_lost: Callable[[str], None],
        *,
        on_drain: Callable[[], None],
        load: Callable[[], str],
        features: Sequence[Feature] = (),
        admission: Admission | None = None,
    ) -> None:
        self._admission = admission
        self._engine, self._worker, self._lock = engine, worker, lock
        self._settings, self._retention, self._rescuer = settings, retention, rescuer
        self._subscribers = subscribers
        self._held, self._stop, self._on_lease_lost = held, stop, on_lease_lost
        self._on_drain, self._load, self._features = on_drain, load, features
        self._registered_at = engine.clock.now()
        self._renewed_at = engine.clock.monotonic()
        self._hourly_at = 0
        self.is_away = False
        """Whether the store did not answer the last time."""
        self.blocked: Callable[[], Blocked | None] = lambda: None
        """Tells what blocks the event loop, with the time by the clock that never goes back."""
        self._told_blocked: Blocked | None = None
        self.leader: Leading = NoLeader()
        """The part of this worker that leads when it is its turn."""
        self.hear_gated: Callable[[str | None], None] = lambda _: None
        """Is told which queues have limits of their own."""
        self.hear_fair: Callable[[str | None], None] = lambda _: None
        """Is told which queues are fair."""

    def step(self) -> None:
        """Do one beat; a store that is away is met with patience until the lease runs out."""
        try:
            lead = self._beat()
            self._note_back()
            if lead is not None:
                self.leader.hear(lead)
        except StoreError as error:
            self._bear(error)

    def _note_back(self) -> None:
        if self.is_away:
            _log.warning("the store is back")
        self.is_away = False

    def _beat(self) -> Lead | None:
        """Do what a beat is for, and return who led when it began; None when the lease is lost."""
        server = self._lock.renew()
        now, asked_at = self._engine.clock.now(), self._engine.clock.monotonic()
        load = self._load()
        oldest = oldest_heartbeat(now, self._settings.silence)
        beaten = self._engine.write(
            lambda tx: beat(tx, worker=self._worker, server=server, now=now, load=load, oldest=oldest)
        )
        if beaten is None:
            self._on_lease_lost(self._why_lost())
            return None
        self._renewed_at = asked_at  # others count from what was written, however late we hear of it
        if beaten.is_draining:
            self._on_drain()
        self.hear_gated(beaten.gated)
        self.hear_fair(beaten.fair)
        self._tell_blocked(now, asked_at)
        self.pass_on_cancels()
        self.store_progress()
        self._rescuer.step(self._engine.clock.now())  # what came before may have taken long
        for feature in self._features:
            feature.refresh(self._engine.read, now)
        if self._admission is not None:
            self._admission.refresh(self._engine.read, now)
        self._expire(now)
        self._do_hourly(now)
        return beaten.lead

    def _tell_blocked(self, now: int, monotonic: float) -> None:
        """Store what blocks the event loop when that has changed, with the store's time."""
        blocked = self.blocked()
        if blocked == self._told_blocked:
            return
        since = blocked and msgspec.structs.replace(blocked, since=now - round(monotonic * SECOND) + blocked.since)
        self._engine.write(lambda tx: set_blocked(tx, worker=self._worker, blocked=since))
        self._told_blocked = blocked

    def _why_lost(self) -> str:
        restored_at = self._engine.read(epoch_began_at)
        if restored_at is not None and restored_at >= self._registered_at:
            return "the store was restored from a backup under it; what they did may be done again"
        if self._engine.read(last_worker) < self._worker:
            return "the store was emptied or made anew under it: it never gave out this worker's number"
        return "it was declared dead: its heartbeat was older than its lease"

    def _bear(self, error: StoreError) -> None:
        if not self.is_away:
            _log.warning("the store does not answer; going on without it: %s", error)
        self.is_away = True
        if not self.has_lease():
            self.give_up()

    def give_up(self) -> None:
        """End the worker: soon others may take its jobs."""
        self._on_lease_lost("its lease is about to end and the store does not answer")

    def has_lease(self) -> bool:
        """Tell whether the lease is sure to last a while: without it a worker must not claim, nor go on for long."""
        return self.seconds_left() >= 0

    def seconds_left(self) -> float:
        """Return how long the lease is sure to last, without its margin."""
        silent = self._engine.clock.monotonic() - self._renewed_at
        return self._settings.lease / SECOND - self.margin_seconds - silent

    @property
    def margin_seconds(self) -> float:
        """How long before the lease ends a worker is to stop its jobs."""
        return min(_MARGIN, self._settings.lease // 4) / SECOND

    def is_sure(self) -> bool:
        """Tell whether others have heard of it within `silence`; later than that they may lead in its place."""
        silent = self._engine.clock.monotonic() - self._renewed_at
        return not self.is_away and silent < self._settings.silence / SECOND

    def heed(self) -> None:
        """Look for what somebody may have asked for: requests to cancel, or a lead that is free."""
        self.pass_on_cancels()
        self.leader.look()

    def pass_on_cancels(self) -> None:
        """Tell running jobs to stop that somebody asked to."""
        running = {(run.id, run.claimed.held.claim): run for run in self._held() if run.is_started}
        if not running:
            return
        ids = [job_id for job_id, _ in running]
        for key in self._engine.read(lambda tx: cancel_requests(tx, worker=self._worker, ids=ids)):
            if key in running:
                self._stop(running[key])

    def store_progress(self) -> None:
        """Store what jobs last said of their progress and what they logged."""
        updates, logs, told = [], [], []
        for run in self._held():
            text = run.unstored_progress
            if text is not None:
                run.stored_progress = text
                updates.append(Progress(run.claimed.held, text))
                told.append((run, text))
            if run.joblog is not None and run.joblog.is_changed:
                logs.append(LogLines(run.claimed.held, run.joblog.text()))
        if updates or logs:
            self._engine.write(lambda tx: self._save(tx, updates, logs))
            self._tell_progress(told)

    def _tell_progress(self, told: Sequence[tuple[Run, str]]) -> None:
        for run, text in told if self._subscribers.want("progressed") else ():
            fraction, message, at = msgspec.json.decode(text)
            self._subscribers.tell(
                JobProgressed(run.id, run.name, run.queue, run.attempt, to_datetime(at), fraction, message)
            )

    def _save(self, tx: Tx, updates: list[Progress], logs: list[LogLines]) -> None:
        save_progress(tx, updates, worker=self._worker)
        save_logs(tx, logs, now=self._engine.clock.now())

    def _expire(self, now: int) -> None:
        expires_at = now + self._retention.expired
        at = to_datetime(now)

        def expire(tx: Tx) -> list[Expired]:
            expired = expire_overdue(tx, now=now, expires_at=expires_at)
            show(self._features, tx, expired_jobs(expired, now), now)
            return expired

        for one in self._engine.write(expire):
            self._subscribers.tell(JobExpired(one.id, one.name, one.queue, one.attempt, at))

    def _do_hourly(self, now: int) -> None:
        is_first = not self._hourly_at
        if now <= self._hourly_at + HOUR:
            return
        self._hourly_at = now
        if is_first or self.leader.leads:  # one worker does for all, but who comes after a crash does not wait for it
            self._rescuer.sweep()


class Liveness:
    """The thread that beats."""

    def __init__(
        self,
        upkeep: Upkeep,
        settings: Settings,
        clock: Clock,
        *,
        has_progress: Callable[[], bool],
        look_for_stalls: Callable[[float], None],
    ) -> None:
        self._upkeep, self._clock = upkeep, clock
        self._seconds = settings.heartbeat / SECOND
        self._has_progress, self._look_for_stalls = has_progress, look_for_stalls
        self._beaten_at = clock.monotonic()
        self._poked, self._closed = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._work, name="lineshaft-liveness", daemon=True)

    def start(self) -> None:
        """Start to beat."""
        self.thread.start()

    @property
    def is_live(self) -> bool:
        """Whether it beat within three heartbeats; a store that is away keeps it waiting, which is no fault of ours."""
        is_fresh = self._clock.monotonic() - self._beaten_at <= _MISSED_BEATS * self._seconds
        return self.thread.is_alive() and (is_fresh or self._upkeep.is_away)

    def poke(self) -> None:
        """Look now for what somebody may have asked for."""
        self._poked.set()

    def close(self) -> None:
        """Stop beating."""
        self._closed.set()
        self._poked.set()

    def _work(self) -> None:
        while not self._closed.is_set():
            self._beaten_at = self._clock.monotonic()
            self._step(self._upkeep.step)
            self._between_beats()

    def _between_beats(self) -> None:
        for _ in range(2):
            self._step(lambda: self._look_for_stalls(self._clock.monotonic()))
            self._wait(self._clock.monotonic() + self._seconds / 2)
            if self._closed.is_set():
                return
            if self._has_progress():
                self._step(self._upkeep.store_progress)

    def _wait(self, until: float) -> None:
        """Wait for so long, and heed whoever pokes meanwhile."""
        while (left := until - self._clock.monotonic()) > 0 and self._poked.wait(left):
            self._poked.clear()
            if self._closed.is_set():
                return
            self._step(self._upkeep.heed)
            self._closed.wait(_POKES_APART_SECONDS)

    @staticmethod
    def _step(step: Callable[[], None]) -> None:
        try:
            step()
        except StoreUnavailableError as error:
            _log.warning("the store does not answer: %s", error)
        except Exception:  # noqa: BLE001 - a worker must outlive a defect in one beat
            _log.exception("the liveness thread met an error and goes on")
