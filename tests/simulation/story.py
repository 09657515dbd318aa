"""What happens in a simulated world: clients, faults, a time without faults, and what must hold at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import msgspec

from lineshaft.engines.sqlite import SqliteEngine
from lineshaft.errors import StoreError
from lineshaft.feature import Incoming
from lineshaft.features.unique import UniqueFeature
from lineshaft.options import Options, Unique
from lineshaft.outcomes import JobError
from lineshaft.store import control
from lineshaft.store.enqueue import insert_jobs
from lineshaft.transitions import Stage
from tests.simulation import ticking
from tests.simulation.engine import Faults, HostClock, SimulatedEngine
from tests.simulation.threads import SECOND, Thread
from tests.simulation.world import SETTINGS, Host, Violation, World, simulated

_LONGEST_HEALING: Final = 900 * SECOND
_LONGEST_ELECTION: Final = 60 * SECOND
_FURTHEST: Final = 300
"""Seconds by which the clock is set at most: a job that is due by the old time has to wait so long."""
_STATES: Final = {10: "completed", 11: "dead", 12: "cancelled", 14: "expired"}


class Client:
    """Enqueues jobs, some of them unique, sends again what was not answered, cancels some and revives dead ones."""

    def __init__(self, world: World) -> None:
        self._world, self._random = world, world.random
        self.faults = Faults(world.schedule, None, lambda text: world.note("client", text))
        self._engine = SimulatedEngine(world.store, HostClock(world.schedule), self.faults, world.check_claim)
        self.stored: set[str] = set()
        """Those whose enqueue was answered."""
        self.cancelled: set[str] = set()
        self.with_deadline: set[str] = set()
        self.revived: Counter[str] = Counter()
        self._answer = ""
        """The job that the last enqueue was answered with."""

    def work(self, jobs: int, seconds: float) -> None:
        """Enqueue so many jobs over a time."""
        for number in range(jobs):
            self._world.schedule.sleep(self._random.uniform(0, 2 * seconds / jobs))
            self._enqueue(number)
            if self._random.random() < 0.15:
                self._cancel(self._random.choice(sorted(self.stored)))
            if self._random.random() < 0.2:
                self._revive(self._random.choice(sorted(self.stored)))
            if self._random.random() < 0.1:
                self._pause("ab"[int(self._random.random() * 2)])
        self.resume()

    def _enqueue(self, number: int) -> None:
        row = self._row(number)
        key = self._random.choice((None, None, "k1", "k2"))
        row["args"] = "[[],{}]" if key is None else f'[["{key}"],{{}}]'
        is_resend = False
        while True:
            try:
                self._engine.write(lambda tx, again=is_resend: self._insert(tx, row, key, is_resend=again))
                break
            except StoreError:
                is_resend = True
                self._world.schedule.sleep(0.5)
        self._world.note("client", f"enqueued {row['id'][:8]} in {row['queue']}, answered {self._answer[:8]}")
        self.stored.add(self._answer)

    def _insert(self, tx: Any, row: Any, key: str | None, *, is_resend: bool) -> None:
        """Store a job, or learn which one of its key is there already."""
        incoming = Incoming(row, Options(unique=Unique()), key)
        if key is not None:
            UniqueFeature().before_enqueue(tx, [incoming], row["created_at"])
        if incoming.existing_id is None:
            insert_jobs(tx, [row], is_resend=is_resend)
        if key is not None:
            self._check_unique(tx, row["args"])
        self._answer = incoming.existing_id or row["id"]

    def _check_unique(self, tx: Any, args: str) -> None:
        query = "select count(*) from lineshaft_job where args = ? and name = ? and stage < 10"
        for name in ("plain", "timed"):
            if tx.connection.execute(query, (args, name)).fetchone()[0] > 1:
                raise Violation(f"two jobs of task {name} and arguments {args} are unfinished at once")

    def _row(self, number: int) -> Any:
        now, random = self._world.schedule.wall, self._random
        delay = 0 if random.random() < 0.7 else round(random.uniform(0, 15) * SECOND)
        job = f"{number + 1:08d}-0000-7000-8000-000000000000"
        deadline = now + delay + round(random.uniform(0.1, 8) * SECOND) if random.random() < 0.25 else None
        if deadline is not None:
            self.with_deadline.add(job)
        return {
            "id": job, "queue": random.choice("aab"), "name": random.choice(("plain", "timed")),
            "rank": random.choice((0, 0, -5, 5)), "run_at": now + delay,
            "stage": int(Stage.SCHEDULED if delay else Stage.READY), "created_at": now, "max_attempts": 3,
            "deadline": deadline, "tenant": None, "tags": None, "meta": None, "options": None, "context": None,
            "args": "[[],{}]",
        }  # fmt: skip

    def _revive(self, job: str) -> None:
        """Have a job tried again that came to a bad end; a unique one may have a successor by now."""
        with self._world.store.reading() as tx:
            query = "select count(*) from lineshaft_job where id = ? and args = '[[],{}]'"
            if not tx.connection.execute(query, (job,)).fetchone()[0]:
                return
        self._world.note("client", f"revives {job[:8]}")
        self.revived[job] += 1
        self._try(lambda tx: control.revive_jobs(tx, [job], now=self._world.schedule.wall))

    def _cancel(self, job: str) -> None:
        now = self._world.schedule.wall
        self._world.note("client", f"cancels {job[:8]}")
        self.cancelled.add(job)
        self._try(lambda tx: control.cancel_jobs(tx, [job], now=now, expires_at=now + SECOND))

    def _pause(self, queue: str) -> None:
        self._world.note("client", f"pauses {queue}")
        self._try(lambda tx: control.pause_queue(tx, queue, now=self._world.schedule.wall))

    def resume(self) -> None:
        """Let all queues go on."""
        for queue in "ab":
            while not self._try(lambda tx, queue=queue: control.resume_queue(tx, queue)):
                self._world.schedule.sleep(0.5)

    def _try(self, operation: Callable[[Any], Any]) -> bool:
        try:
            self._engine.write(operation)
        except StoreError:
            return False
        return True


class Story:
    """One seed, from its first process to its last check."""

    def __init__(self, world: World) -> None:
        self.world, self._random = world, world.random
        self.client = Client(world)
        self._is_calm = False
        self._is_ending = False
        self._looks_at = 0
        world.on_death = self._died
        menu: dict[str, Callable[[Host], None]] = {
            "kill": self._kill, "kill at a commit": self._kill_at_commit, "kill all": self._kill_all,
            "pause": self._pause, "stop": self._stop, "store away": self._store_away, "jump": self._jump,
            "set clock": self._set_clock,
        }  # fmt: skip
        self._menu = [act for act in menu.values() if self._random.random() < 0.5]
        """Each seed has its own few kinds of faults: with all of them at once, some would hide others."""

    def tell(self) -> None:
        """Let it happen; raises `Violation`."""
        world, random = self.world, self._random
        world.skews_are_wild = random.random() < 0.15
        world.doorbell.rate = random.choice((0.0, 0.3, 0.9))
        self._rate = random.choice((0.0, 0.02, 0.1, 0.3))
        self.client.faults.rate = self._rate
        if world.has_schedules:
            ticking.add_schedules(world)
        for _ in range(random.choice((1, 2, 3))):
            self._add_host()
        seconds = random.uniform(10, 60)
        self._start(self.client.work, random.randint(3, 12), seconds * 0.7)
        self._start(self._disturb, world.schedule.now + round(seconds * SECOND))
        world.schedule.run(lambda: self._is_calm and self._is_finished(), world.schedule.now + _LONGEST_HEALING)
        self._check_jobs()
        self._check_leader()
        world.schedule.run(lambda: False, world.schedule.now + 2 * SECOND)  # what is under way comes to its end
        self._end()

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        Thread(target, schedule=self.world.schedule, host=None, args=args).start()

    def _add_host(self) -> None:
        host = self.world.add_host(lingers=self._random.random() < 0.3)
        if not self._is_calm:
            host.faults.rate = self._rate

    def _is_finished(self) -> bool:
        if self.world.schedule.now < self._looks_at:
            return False
        self._looks_at = self.world.schedule.now + SECOND
        left = self.world.rows("select count(*) from lineshaft_job where stage < 10")[0][0]
        return not left and ticking.is_over(self.world)

    # --- faults ---------------------------------------------------------------------------------------------------

    def _disturb(self, until: int) -> None:
        while self.world.schedule.now < until:
            self.world.schedule.sleep(self._random.expovariate(1 / 4))
            living = [host for host in self.world.living() if not host.is_paused]
            if self._menu and living:
                self._random.choice(self._menu)(self._random.choice(living))
        self._heal()

    def _heal(self) -> None:
        self.world.note("-", "no more faults")
        self._is_calm = True
        self.world.doorbell.rate = self.client.faults.rate = 0.0
        self.client.faults.is_away = False
        for host in self.world.living():
            host.faults.rate, host.faults.is_away, host.faults.dies_at = 0.0, False, None
            host.resume()
        if not self.world.living():
            self._add_host()

    def _kill(self, host: Host) -> None:
        self.world.note(host.name, "is killed")
        host.die()

    def _kill_all(self, _: Host) -> None:
        for host in self.world.living():
            self._kill(host)
        if self.world.store.path is not None:
            self.world.store.close()  # nobody has the file open: whoever comes next finds it as a crash left it

    def _kill_at_commit(self, host: Host) -> None:
        host.faults.dies_at = self._random.choice(("before", "within", "after"))

    def _died(self, _: Host) -> None:
        self._start(self._restart)

    def _restart(self) -> None:
        self.world.schedule.sleep(self._random.choice((0.1, 1.0, 20.0)))
        if len(self.world.living()) < 3 and not self._is_ending:
            self._add_host()

    def _pause(self, host: Host) -> None:
        self.world.note(host.name, "is paused")
        host.is_paused = True
        self._start(self._resume, host, self._random.choice((2.0, 12.0, 1.3 * SETTINGS.lease / SECOND)))

    def _resume(self, host: Host, seconds: float) -> None:
        self.world.schedule.sleep(seconds)
        if host.is_paused and not host.is_dead:
            self.world.note(host.name, "goes on")
            host.resume()

    def _stop(self, host: Host) -> None:
        if host.worker is not None:
            self.world.note(host.name, "is told to stop")
            grace = self._random.choice((None, 0.0))
            Thread(host.worker.stop, schedule=self.world.schedule, host=host, args=(grace,)).start()

    def _store_away(self, host: Host) -> None:
        seconds = self._random.choice((1.0, 5.0, 1.2 * SETTINGS.lease / SECOND))
        hit = self.world.living() if self._random.random() < 0.3 else [host]
        self.world.note("store", f"is away for {seconds:g} s for {', '.join(one.name for one in hit)}")
        for one in hit:
            one.faults.is_away = True
        self._start(self._store_back, hit, seconds)

    def _store_back(self, hit: list[Host], seconds: float) -> None:
        self.world.schedule.sleep(seconds)
        for one in hit:
            one.faults.is_away = False

    def _jump(self, host: Host) -> None:
        most = 300.0 if self.world.skews_are_wild else 0.5
        host.clock.skew = round(self._random.uniform(-most, most) * SECOND)
        self.world.most_skew = max(self.world.most_skew, host.clock.skew)
        self.world.note(host.name, f"has its clock at {host.clock.skew / SECOND:+.3f} s")

    def _set_clock(self, _: Host) -> None:
        """Set the time of day of the whole machine, which all processes of a SQLite store share."""
        self.world.set_clock(round(self._random.choice((-1, 1, 1)) * self._random.uniform(1, _FURTHEST) * SECOND))

    # --- the end --------------------------------------------------------------------------------------------------

    def _check_jobs(self) -> None:
        jobs = self.world.rows(
            "select id, stage, worker, claim, attempt, max_attempts, losses, errors, reason, result from lineshaft_job"
        )
        wrong = ticking.wrong_ticks(self.world)
        if wrong:
            raise Violation(wrong)
        of_ticks = ticking.jobs_of_ticks(self.world)
        lost = (self.client.stored | of_ticks) - {job[0] for job in jobs}
        if lost or len(jobs) != len(self.client.stored | of_ticks):
            raise Violation(f"{len(jobs)} jobs are stored, {len(self.client.stored)} were enqueued; lost: {lost}")
        for job in jobs:
            self._check_job(*job)
        self._check_finished_once({job[0]: _STATES[job[1]] for job in jobs})

    def _check_job(
        self, job: str, stage: int, worker: int, claim: int, attempt: int, most: int, losses: int, errors: str | None,
        reason: str | None, result: str | None,
    ) -> None:  # fmt: skip
        if stage not in _STATES:
            raise Violation(f"job {job[:8]} is at stage {stage}, held by {worker}, long after the last fault")
        found = [msgspec.json.decode(line, type=JobError) for line in (errors or "").splitlines()]
        counted = [one.attempt for one in found if not one.type.startswith("lineshaft.")]
        is_revived = job in self.client.revived  # what ended it before may have used up an attempt without an error
        expected = sorted(set(counted)) if is_revived else list(range(1, len(counted) + 1))
        if counted != expected or len(counted) > most:
            raise Violation(f"job {job[:8]} has failed in attempts {counted}, {most} are allowed")
        is_counted = is_revived or attempt == len(counted) + 1
        if stage == Stage.COMPLETED and (result != f'"{worker}.{claim}"' or not is_counted):
            raise Violation(f"job {job[:8]} carries the result {result} of another claim than {worker}.{claim}")
        if (
            reason in ("error", "timeout")
            and len(counted) != most
            and not (is_revived or job in self.client.with_deadline)
        ):
            raise Violation(f"job {job[:8]} is dead after {len(counted)} failures of {most}")
        if reason == "lost" and losses < most:
            raise Violation(f"job {job[:8]} is dead after {losses} losses of {most}")
        if stage == Stage.CANCELLED and job not in self.client.cancelled:
            raise Violation(f"job {job[:8]} is cancelled, and nobody asked for it")
        if stage == Stage.EXPIRED and job not in self.client.with_deadline:
            raise Violation(f"job {job[:8]} is expired without a deadline")

    def _check_finished_once(self, states: dict[str, str]) -> None:
        for (job,), count in Counter(self.world.rows("select job from effect")).items():
            if count > 1 or states[job] != "completed":
                raise Violation(f"job {job[:8]} is {states[job]}, its transaction took effect {count} times")
        told = Counter(one.job for one in self.world.finishes)
        for one in self.world.finishes:
            lives = 1 + self.client.revived[one.job]
            if told[one.job] > lives or (lives == 1 and one.kind != states[one.job]):
                text = f"job {one.job[:8]} is {states[one.job]}, and was told {told[one.job]} times: {one.kind}"
                raise Violation(text)

    def _check_leader(self) -> None:
        """Soon after the last fault one process leads, and goes on with it."""
        world = self.world
        world.schedule.run(self._has_leader, world.schedule.now + _LONGEST_ELECTION)
        if not self._has_leader():
            raise Violation(f"nobody leads {_LONGEST_ELECTION / SECOND:g} s after the last fault")

    def _has_leader(self) -> bool:
        return sum(host.leads for host in self.world.living()) == 1

    def _end(self) -> None:
        """Stop every process in good order: none may still hold a place, a job or its row."""
        world = self.world
        self._is_ending = True
        stopped = set()
        for host in world.living():
            if host.worker is None:
                host.die()
                continue
            self._check_places(host)
            if not host.worker.is_stopping:
                stopped.add(host.worker.id)
            Thread(host.worker.stop, schedule=world.schedule, host=host).start()
        asked_at = world.schedule.now
        world.schedule.run(lambda: not world.living(), asked_at + 120 * SECOND)
        self.stop_seconds = (world.schedule.now - asked_at) / SECOND
        if world.living():
            raise Violation(f"{world.living()[0].name} does not stop")
        left = stopped & {row[0] for row in world.rows("select id from lineshaft_worker")}
        if left:
            raise Violation(f"workers {left} stopped in good order and left their rows")

    def _check_places(self, host: Host) -> None:
        """A process whose jobs have all ended holds none of its places."""
        worker = host.worker
        if worker is None or worker.is_stopping or host.running or worker.dispatcher.runs:
            return
        held = {name: queue.held for name, queue in worker.claimer.queues.items()}
        if any(held.values()):
            raise Violation(f"{host.name} runs nothing and counts {held} places as taken")


def run_seed(seed: int, store: SqliteEngine, trace: Callable[[World], None] = lambda _: None) -> str:
    """Run one seed on a store and return its digest; raises `Violation`. `trace` is shown the world at its end."""
    with simulated(seed, store) as world:
        try:
            Story(world).tell()
            return world.digest()
        finally:
            trace(world)
