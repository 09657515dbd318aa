"""Bringing the store in line with the code: what the start of a worker does about declared schedules."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

from lineshaft import Lineshaft, ScheduleError
from lineshaft.app.schedules import Synced
from lineshaft.clock import HOUR
from lineshaft.features.schedules import declared
from lineshaft.worker_process import running_worker
from tests.plugins.apps import LIMIT, StartWorker, unmeasured

Deploy = Callable[..., Lineshaft]

HOURLY: Final = {"hourly": {"every": "1h"}}
PROCESSES: Final = 12


@pytest.fixture
def deploy(durable_url: str, make_app: Callable[..., Lineshaft]) -> Deploy:
    """Makes an app as another deploy of the same code would: `deploy({"hourly": {"every": "1h"}})`."""

    def make(schedules: Mapping[str, Mapping[str, Any]], *, by: str = "shop:app", task: str = "sweep") -> Lineshaft:
        app = make_app(durable_url)

        def sweep(kind: str = "all") -> None:
            """Do nothing."""

        made = app.task(name=task)(sweep)
        for name, options in schedules.items():
            app.schedule(name=name, **options)(made)  # type: ignore[arg-type]
        app.schedules._declared_by = lambda: by
        return app

    return make


def test_first_deploy(deploy: Deploy) -> None:
    """What is declared is stored once; the second time nothing is left to do."""
    app = deploy({"hourly": {"every": "1h"}, "daily": {"cron": "@daily", "kwargs": {"kind": "old"}}})
    assert app.schedules.sync() == Synced(added=("daily", "hourly"))
    assert app.schedules.sync() == Synced()
    daily, hourly = app.schedules.list()
    assert (daily.source, daily.state, daily.args, hourly.rule["every"]) == (
        "code",
        "active",
        ([], {"kind": "old"}),
        "1h",
    )
    assert daily.declared_by == "shop:app"


def test_another_rule(deploy: Deploy) -> None:
    """A changed rule has its next tick from now on."""
    deploy(HOURLY).schedules.sync()
    app = deploy({"hourly": {"every": "30d"}})
    before = app.schedules.get("hourly").next_at
    assert app.schedules.sync() == Synced(changed=("hourly",))
    after = app.schedules.get("hourly").next_at
    assert before is not None
    assert after is not None
    assert after > before


def test_same_rule(deploy: Deploy) -> None:
    """A deploy that changes anything but the rule loses no tick and doubles none: the next one stays what it is."""
    first = deploy(HOURLY)
    first.schedules.sync()
    overdue = first._store.engine.clock.now() - HOUR
    first._store.write(lambda tx, _: _set_next(tx, "hourly", overdue))
    app = deploy({"hourly": {"every": "1h", "overlap": "skip", "queue": "slow"}})
    assert app.schedules.sync() == Synced(changed=("hourly",))
    row = app.schedules._row("hourly")
    assert row.next_at == overdue
    assert app.schedules.get("hourly").queue == "slow"


def _set_next(tx: Any, name: str, at: int) -> None:
    from lineshaft.features.schedules.records import lock_schedule, update_schedule

    row = lock_schedule(tx, name)
    assert row is not None
    update_schedule(tx, row._replace(next_at=at, due_at=at))


def test_removed_and_back(deploy: Deploy) -> None:
    """What no code declares any more ticks no more; declared again it is as it was, with a person's changes."""
    app = deploy(HOURLY)
    app.schedules.sync()
    app.schedules.update("hourly", overlap="queue")
    assert deploy({}).schedules.sync() == Synced(removed=("hourly",))
    gone = app.schedules.get("hourly")
    assert (gone.state, gone.next_at) == ("removed", None)
    with pytest.raises(ScheduleError, match="cannot be run: no code declares it any more"):
        app.schedules.run("hourly")
    assert deploy(HOURLY).schedules.sync() == Synced(added=("hourly",))
    back = app.schedules.get("hourly")
    assert (back.state, back.overlap, back.overridden) == ("active", "queue", ("overlap",))
    assert back.next_at is not None


def test_overrides_stay(deploy: Deploy) -> None:
    """What a person changed at run time is kept by deploys, and shown beside what the code says."""
    app = deploy({"hourly": {"every": "1h", "overlap": "skip"}})
    app.schedules.sync()
    app.schedules.update("hourly", every="2h", queue="slow")
    deploy({"hourly": {"every": "3h", "overlap": "queue"}}).schedules.sync()
    found = app.schedules.get("hourly")
    assert (found.rule["every"], found.queue, found.overlap) == ("2h", "slow", "queue")
    assert found.overridden == ("queue", "rule")
    assert found.declared == {"rule": {"every": "3h", "timezone": "UTC"}, "queue": "default"}


def test_pause_stays(deploy: Deploy) -> None:
    """A deploy does not resume what somebody has paused."""
    app = deploy(HOURLY)
    app.schedules.sync()
    app.schedules.pause("hourly", by="Ada", reason="the printer burns")
    deploy({"hourly": {"every": "2h"}}).schedules.sync()
    found = app.schedules.get("hourly")
    assert (found.state, found.paused_by, found.pause_reason) == ("paused", "Ada", "the printer burns")
    assert found.next_at is None


def test_two_apps(deploy: Deploy) -> None:
    """Two apps on one store leave each other's schedules alone."""
    deploy(HOURLY).schedules.sync()
    other = deploy({"weekly": {"every": "7d"}}, by="post:app", task="send")
    assert other.schedules.sync() == Synced(added=("weekly",))
    assert [one.state for one in other.schedules.list()] == ["active", "active"]
    assert deploy(HOURLY).schedules.sync() == Synced()


def test_name_of_another_app(deploy: Deploy) -> None:
    """A name that another app declares for another task is refused; nothing is changed."""
    deploy(HOURLY).schedules.sync()
    with pytest.raises(ScheduleError, match="'hourly' is declared by shop:app for another task"):
        deploy(HOURLY, by="post:app", task="send").schedules.sync()


def test_renamed_app(deploy: Deploy) -> None:
    """An app under a new name takes over the schedules of the same tasks; what it left is deleted with force."""
    app = deploy({**HOURLY, "daily": {"every": "1d"}})
    app.schedules.sync()
    moved = deploy(HOURLY, by="new.shop:app")
    assert moved.schedules.sync() == Synced(changed=("hourly",))
    with pytest.raises(ScheduleError, match="shop:app declares it; remove it from the code, or pause it"):
        moved.schedules.delete("daily")
    moved.schedules.delete("daily", force=True)
    assert [one.name for one in moved.schedules.list()] == ["hourly"]


def test_name_of_a_runtime_one(deploy: Deploy) -> None:
    """A name that somebody took at run time is refused at the start of a worker, with what to do."""
    app = deploy({})
    app.schedules.create("hourly", app.find("sweep").new(), every="1h")
    with pytest.raises(ScheduleError, match="'hourly' was created at run time, and this code declares one"):
        deploy(HOURLY).make_worker()


def test_many_at_once(deploy: Deploy) -> None:
    """However many workers start at once, each schedule is added by one of them, and removed by one."""
    many = {f"s{n:02}": {"every": "1h"} for n in range(20)}
    apps = [deploy(many) for _ in range(PROCESSES)]
    with ThreadPoolExecutor(PROCESSES) as pool:
        added = [name for synced in pool.map(lambda app: app.schedules.sync(), apps) for name in synced.added]
        assert sorted(added) == sorted(many)
        fewer = [deploy({"s00": {"every": "1h"}}) for _ in range(PROCESSES)]
        removed = [name for synced in pool.map(lambda app: app.schedules.sync(), fewer) for name in synced.removed]
    assert sorted(removed) == sorted(many.keys() - {"s00"})
    assert {row.version for row in map(apps[0].schedules._row, many)} == {1, 2}


def test_two_versions_at_once(deploy: Deploy) -> None:
    """Of two versions that start at the same time one holds in the end, whole: they never mix."""
    old = {f"s{n:02}": {"every": "2h"} for n in range(10)}
    new = {f"s{n:02}": {"every": "3h"} for n in range(5, 15)}
    apps = [deploy(old if n % 2 else new) for n in range(PROCESSES)]
    with ThreadPoolExecutor(PROCESSES) as pool:
        list(pool.map(lambda app: app.schedules.sync(), apps))
    found = {one.name: {"every": one.rule["every"]} for one in apps[0].schedules.list() if one.state == "active"}
    assert found in (old, new)


def test_created_in_that_moment(deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is taken at run time between our look and our write is refused like any that is taken."""
    app, other = deploy(HOURLY), deploy({})
    lock = declared.lock_schedule

    def taken_just_now(tx: Any, name: str) -> Any:
        found = lock(tx, name)
        if found is None and tx.dialect == "postgres":  # on SQLite nobody can: there is one writer
            other.schedules.create(name, other.find("sweep").new(), every="1h")
        return found

    monkeypatch.setattr(declared, "lock_schedule", taken_just_now)
    if app.settings.store.startswith("sqlite"):
        assert app.schedules.sync() == Synced(added=("hourly",))
    else:
        with pytest.raises(ScheduleError, match="'hourly' was created at run time"):
            app.schedules.sync()


def test_modules_are_imported_first(
    durable_url: str, make_app: Callable[..., Lineshaft], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a module of `imports=` declares is known before anything is taken for removed."""
    (tmp_path / "nightly_jobs.py").write_text(
        "from lineshaft import Tasks\ntasks = Tasks()\n"
        "@tasks.schedule(every='1h', name='imported')\n@tasks.task(name='imported')\ndef imported(): pass\n"
        "import clerks_desk\nclerks_desk.app.include(tasks)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    app = make_app(durable_url, imports=["nightly_jobs"])
    monkeypatch.setitem(sys.modules, "clerks_desk", SimpleNamespace(app=app))
    assert app.schedules.sync().added == ("imported",)
    sys.modules.pop("nightly_jobs")


def test_worker_start(deploy: Deploy, start_worker: StartWorker, caplog: pytest.LogCaptureFixture) -> None:
    """A worker's start brings the store in line, and says so in one line when that changed anything."""
    caplog.set_level(logging.INFO, "lineshaft.schedules")
    start_worker(deploy(HOURLY), {"default": 1})
    start_worker(deploy(HOURLY), {"default": 1})
    said = [one.getMessage() for one in caplog.records if one.name == "lineshaft.schedules"]
    assert said == ["schedules of shop:app: 1 added (hourly)"]


def test_cost_when_nothing_changed(deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing has changed, a worker's start pays one read and no write."""
    app = deploy(HOURLY)
    app.schedules.sync()
    engine = app._store.engine
    calls: list[str] = []
    read = engine.read
    monkeypatch.setattr(engine, "write", lambda _: calls.append("write"))
    monkeypatch.setattr(engine, "read", lambda operation: (calls.append("read"), read(operation))[1])
    assert app.schedules.sync() == Synced()
    assert calls == ["read"]


CODE: Final = """
from lineshaft import Lineshaft
app = Lineshaft()

@app.schedule(every="1h", name="hourly")
@app.task
def sweep():
    pass

@app.task(runs_in="process")
def apart():
    return [one.state for one in app.schedules.list() if one.name == "hourly"]
"""


def test_command(durable_url: str, make_app: Callable[..., Lineshaft], tmp_path: Path) -> None:
    """`lineshaft worker` brings the store in line, a process under a supervisor too; a lane's child does not."""
    (tmp_path / "clerk.py").write_text(CODE)
    app = make_app(durable_url)
    app.migrate()
    log = tmp_path / "log"
    with running_worker(
        "clerk:app", durable_url, "--processes", "2", log=log, environment={**unmeasured(), "PYTHONPATH": str(tmp_path)}
    ):
        job = app.enqueue("clerk.apart")
        assert job.result(timeout=LIMIT) == ["active"]
    assert app.schedules.get("hourly").declared_by == "clerk:app"
    assert log.read_text().count("schedules of clerk:app: 1 added (hourly)") == 1
