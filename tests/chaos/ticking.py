"""Schedules under chaos: what they owe is known beforehand, so that every tick can be asked for at the end.

A schedule here ends by itself. Whatever dies meanwhile, at the end each of its ticks, as its rule says by itself, must
have one row and one job. A job is known by its schedule and its tick, so the checks of `history` hold for them too.
"""

from __future__ import annotations

import signal
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import psutil

from lineshaft import State
from lineshaft.clock import SECOND, to_datetime
from lineshaft.features.schedules import records
from lineshaft.features.schedules.definition import read_definition
from lineshaft.features.schedules.records import ScheduleRow, TickRow, TickState
from lineshaft.transitions import UNFINISHED
from tests.chaos.conftest import Chaos
from tests.chaos.history import Bounds, Event, Findings, Kind, Row, check
from tests.plugins.apps import Process, eventually

_MOST: Final = 1_000_000


class Ticking:
    """A chaos store with schedules."""

    def __init__(self, chaos: Chaos) -> None:
        self.chaos = chaos
        self._store = chaos.app._store

    def create(self, name: str, *, lasts: float, **options: Any) -> None:
        """Store a schedule whose last tick is so many seconds away at most; it catches up with nothing."""
        app = self.chaos.app
        end = to_datetime(self._store.engine.clock.now()) + timedelta(seconds=lasts)
        options = {"catch_up": "none", "end": end, **options}
        app.schedules.create(name, app._intake.by_name("work.ticked", (), {}), **options)

    def antedate(self, seconds: int) -> None:
        """Have all schedules begin so much earlier: as many ticks are due at once, all within their grace."""
        for row in self.schedules():
            begun = row.created_at - seconds * SECOND
            first = read_definition(row.declared).recurrence.after(begun)
            earlier = row._replace(created_at=begun, next_at=first, due_at=first)
            with self._store.engine.transaction() as tx:
                records.delete_schedule(tx, row.name)
                records.insert_schedule(tx, earlier)

    def create_fleet(self, count: int, *, lasts: float) -> None:
        """Store so many schedules of one to five seconds; some care when their jobs end."""
        kinds: tuple[dict[str, Any], ...] = ({}, {}, {"overlap": "queue"}, {"finish_within": "1h"})
        now = to_datetime(self._store.engine.clock.now())
        for number in range(count):
            start = now + timedelta(seconds=number * 0.137 % 1)  # so that faults meet ticks at any time
            every = f"{1 + number % 5}s"
            self.create(f"s{number}", lasts=lasts, every=every, start=start, **kinds[number % len(kinds)])

    # --- watching -------------------------------------------------------------------------------------------------

    def leader(self) -> int:
        """Return the process id of the leader, once there is one."""
        pid: int = eventually(lambda: next((one.pid for one in self.chaos.app.workers.list() if one.leads), 0))
        return pid

    def await_ticks(self, count: int, limit: float = 30.0) -> None:
        """Wait until so many more ticks are there, or no schedule has one to come."""
        before = self.count()
        eventually(lambda: self.count() >= before + count or self.is_over(), limit)

    def count(self) -> int:
        """Return how many ticks are recorded."""
        schema = self.chaos.effects.rpartition(".")[0]
        table = f"{schema}.tick" if schema else "lineshaft_tick"
        query = f"select count(*) from {table}"
        return int(self._store.read(lambda tx: tx.connection.execute(query).fetchone()[0]))  # type: ignore[attr-defined]

    def is_over(self) -> bool:
        """Tell whether no schedule has a tick to come."""
        return all(row.next_at is None for row in self.schedules())

    def settle(self, limit: float = 60.0) -> None:
        """Wait until every tick has come and is settled, and every job has ended."""
        eventually(self.is_over, limit)
        eventually(lambda: all(tick.state >= TickState.ENQUEUED for tick in self.ticks()), limit)
        eventually(lambda: not any(self.chaos.app.jobs.count(state=State(one)) for one in UNFINISHED), limit)

    def schedules(self) -> list[ScheduleRow]:
        """Return the schedules, without those of the store itself."""
        rows: list[ScheduleRow] = self._store.read(records.list_schedules)
        return [row for row in rows if row.source != "system"]

    def ticks(self) -> list[TickRow]:
        """Return every tick that is recorded."""
        return [
            tick
            for row in self.schedules()
            for tick in self._store.read(lambda tx, row=row: records.list_ticks(tx, row.name, limit=_MOST))
        ]

    # --- judging --------------------------------------------------------------------------------------------------

    def assert_each_tick_once(self, early: float = 0.1) -> None:
        """Fail the test unless each tick that was due has one row and one job, which ended.

        `early` is by how many seconds a job may start before its time, as the clock says that nobody has set.
        """
        schedules, ticks = self.schedules(), self.ticks()
        wrong = list(wrong_ticks(schedules, ticks))
        assert not wrong, "\n".join(wrong[:50])
        found = self._findings(schedules, ticks, Bounds(early=round(early * SECOND)))
        assert not found, f"\n{found}"

    def latest(self) -> float:
        """Return by how many seconds the latest tick was enqueued behind its time, of those that wait for no job."""
        free = {row.name for row in self.schedules() if read_definition(row.declared).overlap == "allow"}
        return max(tick.decided_at - tick.at for tick in self.ticks() if tick.schedule in free) / SECOND

    def _findings(self, schedules: list[ScheduleRow], ticks: list[TickRow], bounds: Bounds) -> Findings:
        events = [Event(Kind.SENT, key_of(row.name, at), at=at) for row in schedules for at in due_of(row)]
        for tick in ticks:
            assert tick.job is not None, tick
            events.append(Event(Kind.ACKNOWLEDGED, key_of(tick.schedule, tick.at), tick.job, at=tick.at))
        return check([*self.chaos.events(), *events], list(self._rows()), bounds)

    def _rows(self) -> Iterator[Row]:
        for one in self.chaos.app.jobs.iter():
            row, tick = one._row, one.meta
            yield Row(row.id, f"{tick['schedule']}@{tick['tick']}", one.state.value, row.claim, row.run_at)


def key_of(schedule: str, at: int) -> str:
    """Return how the job of a tick is known: as the job itself says."""
    return f"{schedule}@{to_datetime(at).isoformat()}"


def due_of(row: ScheduleRow) -> list[int]:
    """Return the ticks that a schedule had to have, from its creation to its end."""
    rule = read_definition(row.declared, row.overrides).recurrence
    assert rule.end is not None, f"{row.name} never ends"
    return rule.between(row.created_at, rule.end, _MOST)


def wrong_ticks(schedules: list[ScheduleRow], ticks: list[TickRow]) -> Iterator[str]:
    """Yield what is wrong with what was recorded: ticks without a row, without a job, and those that never were due."""
    recorded: dict[str, dict[int, TickRow]] = defaultdict(dict)
    for tick in ticks:
        recorded[tick.schedule][tick.at] = tick
    for row in schedules:
        due, found = due_of(row), recorded[row.name]
        yield from (f"{key_of(row.name, at)} was due and is not recorded" for at in due if at not in found)
        yield from (f"{key_of(row.name, at)} is recorded and was not due" for at in found.keys() - set(due))
        for tick in found.values():
            if tick.state != TickState.ENQUEUED or tick.job is None:
                yield f"{key_of(row.name, tick.at)} is {TickState(tick.state).name}: {tick.note}"


def freeze(process: Process, chaos: Chaos) -> None:
    """Stop a process where it holds nothing that others wait for: PostgreSQL would take it back after a minute."""
    while True:
        process.freeze(chaos.url)
        if chaos.url.startswith("sqlite") or not _is_in_transaction(process, chaos):
            return
        process.send(signal.SIGCONT)


def _is_in_transaction(process: Process, chaos: Chaos) -> bool:
    ports = [one.laddr.port for one in psutil.Process(process.pid).net_connections("inet")]
    query = "select count(*) from pg_stat_activity where xact_start is not null and client_port = any(%s)"
    with chaos.app.transaction() as connection:
        return bool(connection.execute(query, (ports,)).fetchone()[0])


class Fleet:
    """Worker processes, of which one leads; whichever is hurt has a successor."""

    def __init__(self, ticking: Ticking, size: int, **settings: Any) -> None:
        self._ticking, self._chaos, self._settings = ticking, ticking.chaos, settings
        self._workers = {one.pid: one for one in [self._chaos.worker(**settings) for _ in range(size)]}

    def leader(self) -> Process:
        """Return the worker that leads; whoever found itself dead has a successor first."""
        for one in list(self._workers.values()):
            if one._popen.poll() is not None:
                self._replace(one)
        return eventually(lambda: self._workers.get(self._ticking.leader()))  # type: ignore[no-any-return]

    def kill(self) -> None:
        """Kill the leader."""
        leader = self.leader()
        self._chaos.kill(leader)
        self._replace(leader)

    def nap(self, ticks: int) -> None:
        """Stop the leader for so many ticks of its successor, and have it go on, alive or declared dead meanwhile."""
        leader = self._put_to_sleep()
        self._ticking.await_ticks(ticks)
        leader.send(signal.SIGCONT)

    def pause(self) -> None:
        """Stop the leader until its lease is over and the others count it as dead, and have it go on then."""
        leader = self._put_to_sleep()
        eventually(lambda: leader.pid not in {one.pid for one in self._chaos.app.workers.list()})
        leader.send(signal.SIGCONT)
        leader.end()
        self._replace(leader)

    def _put_to_sleep(self) -> Process:
        """Stop the leader and wait for its successor."""
        leader = self.leader()
        freeze(leader, self._chaos)
        self._chaos.recorder.note(Kind.PAUSED, worker=leader.pid)
        eventually(lambda: self._ticking.leader() != leader.pid)
        return leader

    def stop(self) -> None:
        """Tell the leader to end, and wait until it has."""
        leader = self.leader()
        leader.send(signal.SIGTERM)
        assert leader.end() == 0, leader.errors()
        self._replace(leader)

    def errors(self) -> str:
        """Return what the workers that run have written to their standard errors."""
        return "\n".join(one.errors() for one in self._workers.values())

    def _replace(self, worker: Process) -> None:
        del self._workers[worker.pid]
        heir = self._chaos.start_worker(**self._settings)
        self._workers[heir.pid] = heir
