"""Blobs go when their job has gone, and never before."""

from __future__ import annotations

import gc
import io
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft import Blob, BlobMissingError
from lineshaft.backup import back_up, restore
from lineshaft.blobs.blob import source_of
from lineshaft.clock import DAY, HOUR
from lineshaft.ids import new_id
from tests.blobs.conftest import SWEPT, prune_later
from tests.plugins.apps import LIMIT

if TYPE_CHECKING:
    from lineshaft import Lineshaft
    from tests.plugins.apps import StartWorker


def test_pruned_job_takes_its_blobs_along(app: Lineshaft, files: Any, start_worker: StartWorker) -> None:
    """Arguments and result stay as long as the job is kept and are gone after the next sweep."""
    double = app.task(name="double")(_double)
    job = double.enqueue(Blob(b"ab"))
    waiting = double.options(delay="90d").enqueue(Blob(b"later"))
    worker = start_worker(app)
    result = job.result(LIMIT)
    worker.stop()
    prune_later(app, DAY)
    assert result.read() == b"abab"
    prune_later(app, 5 * DAY)
    with pytest.raises(BlobMissingError):
        result.read()
    assert [path.read_bytes() for path in files()] == [b"later"]
    assert files()[0].parent.name == waiting.id


def _double(blob: Blob) -> Blob:
    return Blob(blob.read() * 2)


def test_purged_and_bulk_deleted_jobs(app: Lineshaft, files: Any) -> None:
    """`delete` takes blobs along at once; a purge leaves them to the sweep."""
    take = app.task(name="take")(_take)
    kept = take.options(queue="kept").enqueue(Blob(b"kept"))
    take.enqueue_many([Blob(b"1"), Blob(b"2")])
    assert app.jobs.delete(queue="default") == 2
    assert [path.parent.name for path in files()] == [kept.id]
    take.enqueue(Blob(b"3"))
    app.queues.purge("default")
    assert len(files()) == 2
    prune_later(app, SWEPT)
    assert [path.parent.name for path in files()] == [kept.id]


def _take(blob: Blob) -> int:
    return blob.size


def test_running_job_keeps_its_blobs_when_it_cannot_be_deleted(app: Lineshaft, files: Any) -> None:
    """A job that was claimed while somebody deleted it is not deleted, and nothing of it is."""
    job = app.task(name="take")(_take).enqueue(Blob(b"x"))
    row = app.jobs.fetch(job.id)
    app._store.depot.discard([row.args], lambda ids: set(ids))
    assert len(files()) == 1
    app._store.depot.discard([row.args], lambda _: set())
    assert files() == []


def test_fresh_orphans_are_left_alone(app: Lineshaft, folder: Path) -> None:
    """A content whose job is not stored yet is not swept on the day that it was written, nor on the day after."""
    depot = app.runtime().depot
    now = app.runtime().engine.clock.now()
    blob = Blob.from_stream(io.BytesIO(b"x"))
    depot.writer(now).settle('{"$blob":"' + source_of(blob).token + '"}', [blob], new_id())
    midnight = now - now % DAY
    strange = next(folder.glob("*/*")) / "not-a-job"
    strange.touch()
    for later in (0, HOUR, DAY - 1):
        list(depot.sweep(midnight + DAY + later, lambda _: set()))
    assert blob.read() == b"x"
    asked: list[str] = []
    list(depot.sweep(midnight + 2 * DAY, lambda ids: asked.extend(ids) or set()))  # type: ignore[func-returns-value]
    assert len(asked) == 1
    assert [path for path in folder.rglob("*") if path.is_file()] == []
    assert list(next(folder.iterdir()).iterdir()) == []


def test_stores_that_share_a_place_leave_each_other_alone(
    app: Lineshaft, folder: Path, tmp_path: Path, files: Any, make_app: Any
) -> None:
    """What another store owns is neither swept nor known, though its jobs are not stored here."""
    other = make_app(f"sqlite:///{tmp_path / 'other.db'}", blobs=str(folder))
    for one in (app, other):
        job = one.task(name="take")(_take).enqueue(Blob(b"x"))
    assert len(files()) == 2
    prune_later(app, 100 * DAY)
    prune_later(other, 100 * DAY)
    assert len(files()) == 2
    job.delete()
    assert len(files()) == 1


def test_place_that_is_away_does_not_stop_pruning(
    app: Lineshaft, folder: Path, files: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A sweep or a deletion that fails is told in the log, the rest goes on, and the next sweep makes good for it."""
    job = app.task(name="take")(_take).enqueue(Blob(b"x"))
    moved = folder.with_name("moved")
    folder.rename(moved)
    folder.write_text("a file in the way")
    with caplog.at_level(logging.WARNING):
        job.delete()
        prune_later(app, SWEPT)
    assert "deleting the blobs of deleted jobs failed" in caplog.text
    assert "sweeping the blobs of jobs that are gone failed" in caplog.text
    folder.unlink()
    moved.rename(folder)
    assert len(files()) == 1
    prune_later(app, 2 * SWEPT)
    assert files() == []


def test_nothing_is_made_for_stores_without_blobs(tmp_path: Path, make_app: Any) -> None:
    """A worker that prunes makes no folder, and a PostgreSQL store without a place is pruned as ever."""
    app = make_app(f"sqlite:///{tmp_path / 'jobs.db'}")
    app.task(name="plain")(lambda: None).enqueue().delete()
    prune_later(app, SWEPT)
    assert not (tmp_path / "jobs.db-blobs").exists()


def test_memory_store_ends_with_its_blobs(make_app: Any) -> None:
    """A store in memory keeps blobs in a temporary folder, which is swept, and gone with the app."""
    app = make_app("memory://")
    prune_later(app, SWEPT)
    app.task(name="take")(_take).enqueue(Blob(b"x"))
    depot = app._store.depot
    folder = Path(depot.folder)
    assert folder.is_dir()
    app.queues.purge("default")
    prune_later(app, 2 * SWEPT)
    assert [path for path in folder.rglob("*") if path.is_file()] == []
    app._store.use(app.settings)
    assert folder.is_dir()
    del depot
    gc.collect()
    assert not folder.exists()


class Quiet:
    """Looks on at a copy and says nothing."""

    def step(self, what: str, total: int) -> None:
        """Hear nothing."""

    def reached(self, done: int) -> None:
        """Hear nothing."""


def test_backup_and_copied_folder_bring_blobs_back(
    app: Lineshaft, folder: Path, tmp_path: Path, make_app: Any, start_worker: StartWorker
) -> None:
    """A backup holds references; with a copy of the folder another store has the contents too."""
    job = app.task(name="take")(_take).enqueue(Blob(b"x"))
    back_up(app.runtime().engine, tmp_path / "jobs.backup", Quiet())
    shutil.copytree(folder, tmp_path / "copied")
    job.delete()
    other = make_app(f"sqlite:///{tmp_path / 'other.db'}", blobs=str(tmp_path / "copied"))
    restore(other.runtime().engine, tmp_path / "jobs.backup", resumes=True, watcher=Quiet())
    other.task(name="take")(_read)
    start_worker(other)
    assert other.jobs.get(job.id).result(LIMIT) == "x"


def _read(blob: Blob) -> str:
    return blob.read().decode()
