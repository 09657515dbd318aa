"""Jobs take and give large values."""

from __future__ import annotations

import asyncio
import io
import os
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from lineshaft import (
    Blob,
    BlobError,
    ConfigError,
    JobFailed,
    PayloadError,
    PayloadTooLargeError,
    QueueFull,
    ResultGone,
    Retry,
    Unique,
    current_job,
)
from lineshaft.clock import ManualClock
from tests.blobs import blob_app
from tests.plugins.apps import LIMIT, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from lineshaft import Lineshaft
    from tests.plugins.apps import StartWorker

LARGE = os.urandom(3 << 20)


@dataclass
class Pages:
    """A value that holds blobs."""

    title: str
    scans: list[Blob]


class Kept(msgspec.Struct):
    """Another one."""

    by_name: dict[str, Blob | None]


def test_blobs_go_in_and_out(app: Lineshaft, start_worker: StartWorker) -> None:
    """Arguments and results beyond the payload limit arrive as they were, alone and inside other values."""

    @app.task(name="bind")
    def bind(cover: Blob, pages: Pages, kept: Kept, *rest: Blob) -> Pages:
        scans = [cover, *pages.scans, *(one for one in kept.by_name.values() if one), *rest]
        return Pages(pages.title, [Blob(b"".join(one.read() for one in scans))])

    job = bind.enqueue(
        Blob(LARGE),
        Pages("t", [Blob(b"1"), Blob.from_stream(io.BytesIO(b"2"))]),
        Kept({"a": Blob(b"3"), "b": None}),
        Blob(b"4"),
    )
    start_worker(app)
    result = job.result(LIMIT)
    assert result.title == "t"
    assert result.scans[0].read() == LARGE + b"1234"
    assert result.scans[0].size == len(LARGE) + 4
    assert len(app.jobs.get(job.id).result_json or "") < 400


@pytest.mark.parametrize("kind", ["async", "process"])
def test_every_lane_takes_blobs(kind: str, start_worker: StartWorker) -> None:
    """Coroutines and child processes read and write them too, also where the store is in the worker's memory."""
    task = {"async": blob_app.double_later, "process": blob_app.double_in_child}[kind]
    start_worker(blob_app.app)
    assert task.enqueue(Blob(b"ab")).result(LIMIT).read() == b"abab"


def test_awaited_calls(app: Lineshaft) -> None:
    """The loop goes on while a blob is written: something else runs between its pieces."""
    seen: list[str] = []
    app.task(name="take")(_take)

    async def enqueue() -> None:
        loop = asyncio.get_running_loop()

        def chunks() -> Any:
            yield b"first"
            asyncio.run_coroutine_threadsafe(_note(seen), loop).result(LIMIT)
            yield b"last"

        job = await app.aenqueue("take", Blob.from_stream(chunks()))
        assert job.state == "queued"

    asyncio.run(enqueue())
    assert seen == ["the loop ran"]


async def _note(seen: list[str]) -> None:
    seen.append("the loop ran")


def _take(blob: Blob) -> int:
    return blob.size


def test_content_is_there_before_the_job(app: Lineshaft, files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the row is about to be written, every blob that it names is whole under its name."""
    intake = app._intake
    insert, found = intake._insert, []

    def look(jobs: Any, now: int) -> Any:
        found.extend(path.read_bytes() for path in files())
        return insert(jobs, now)

    monkeypatch.setattr(intake, "_insert", look)
    app.task(name="take")(_take).enqueue(Blob(b"whole"))
    assert found == [b"whole"]


def test_each_job_owns_its_blobs(app: Lineshaft, files: Any) -> None:
    """One blob for many jobs is written once and linked, and outlives each of the others."""
    take = app.task(name="take")(_take)
    blob = Blob.from_stream(io.BytesIO(LARGE))
    jobs = take.enqueue_many([blob, blob, blob])
    assert len(files()) == 3
    assert {path.stat().st_nlink for path in files()} == {3}
    for job in jobs[1:]:
        job.delete()
    [left] = files()
    assert left.parent.name == jobs[0].id
    assert take.enqueue(blob).state == "queued"
    assert len(files()) == 2


def test_blob_is_passed_on(app: Lineshaft, files: Any, start_worker: StartWorker) -> None:
    """A job hands its argument to another job and gives it back: the other has its own, the result costs nothing."""
    take = app.task(name="take", queue="later")(_take)

    @app.task(name="pass_on")
    def pass_on(blob: Blob) -> Blob:
        take.enqueue(blob)
        return blob

    job = pass_on.enqueue(Blob(b"x"))
    start_worker(app, {"default": 1})
    assert job.result(LIMIT).read() == b"x"
    assert sorted(path.parent.name for path in files()) == sorted(one.id for one in app.jobs.list())
    job.delete()
    assert len(files()) == 1


def test_failed_attempts_and_unwanted_results(app: Lineshaft, files: Any, start_worker: StartWorker) -> None:
    """A retry finds its arguments again; a result that is not kept is not written."""

    @app.task(name="moody", retry=Retry(max_attempts=2, backoff=lambda *_: 0), keep_result=False)
    def moody(blob: Blob) -> Blob:
        if current_job().attempt == 1:
            raise ValueError(blob.read())
        return Blob(blob.read() * 2)

    job = moody.enqueue(Blob(b"x"))
    start_worker(app)
    job.wait(LIMIT)
    assert (job.state, job.attempt) == ("completed", 2)
    with pytest.raises(ResultGone):
        job.result()
    assert len(files()) == 1


def test_place_that_fails_costs_an_attempt(app: Lineshaft, folder: Path, files: Any, start_worker: StartWorker) -> None:
    """A result that cannot be written, or an argument that is gone, fails the attempt and is told as it is."""
    app.task(name="give", retry=None)(_give)
    take = app.task(name="read", retry=None)(_read)
    lost = take.enqueue(Blob(b"x"))
    for path in files():
        path.unlink()
    start_worker(app, {"default": 1})
    with pytest.raises(JobFailed, match=r"BlobMissingError: the blob .* is not in"):
        lost.result(LIMIT)
    eventually(lambda: app.jobs.get(lost.id).state.is_final)
    (folder.parent / "blobs").rename(folder.parent / "moved")
    folder.write_text("a file in the way")
    with pytest.raises(JobFailed, match=r"BlobError: a blob in .* could not be written"):
        app.enqueue("give").result(LIMIT)
    with pytest.raises(BlobError, match="could not be written"):
        take.enqueue(Blob(b"y"))
    assert app.jobs.count(name="read") == 1


def _give() -> Blob:
    return Blob(b"x")


def _read(blob: Blob) -> int:
    return len(blob.read())


def test_rolled_back_transaction_leaves_no_job(app: Lineshaft, files: Any) -> None:
    """What is enqueued in a transaction is there when it commits; a rollback leaves only the content, to be swept."""
    take = app.task(name="take")(_take)
    with suppress(LookupError), app.transaction():
        take.enqueue(Blob(b"no"))
        raise LookupError
    assert app.jobs.count() == 0
    with app.transaction():
        take.enqueue(Blob(b"yes"))
    assert app.jobs.count() == 1
    assert sorted(path.read_bytes() for path in files()) == [b"no", b"yes"]


def test_callers_connection(tmp_path: Path, make_app: Any, start_worker: StartWorker) -> None:
    """Blobs go with a job that is stored in the caller's own transaction, from coroutines too."""
    app = make_app(f"sqlite:///{tmp_path / 'jobs.db'}")
    take = app.task(name="take")(_take)
    assert app.jobs.count() == 0
    with sqlite3.connect(tmp_path / "jobs.db") as connection:
        take.options(connection=connection).enqueue(Blob(b"123"))
        asyncio.run(take.options(connection=connection).aenqueue(Blob(b"1234")))
    connection.close()
    start_worker(app)
    assert sorted(job.result(LIMIT) for job in app.jobs.list()) == [3, 4]
    assert (tmp_path / "jobs.db-blobs").is_dir()


def test_unique_by_content(app: Lineshaft) -> None:
    """Equal contents are equal arguments, whatever they come from; a stream cannot be compared."""
    take = app.task(name="take", unique=Unique())(_take)
    first = take.enqueue(Blob(b"same"))
    again = take.enqueue(Blob(b"same"))
    assert (again.id, again.existing) == (first.id, True)
    assert not take.enqueue(Blob(b"other")).existing
    with pytest.raises(BlobError, match="hash of a blob from a stream is not known"):
        take.enqueue(Blob.from_stream(io.BytesIO(b"same")))


def test_refused_enqueue_can_be_repeated(app: Lineshaft, start_worker: StartWorker) -> None:
    """A stream that was written for a job that was then refused serves the next try."""
    take = app.task(name="take")(_take)
    app.queues.update("default", max_depth=1)
    take.enqueue(Blob(b"1"))
    blob = Blob.from_stream(io.BytesIO(b"22"))
    with pytest.raises(QueueFull):
        take.enqueue(blob)
    app.queues.update("default", max_depth=None)
    job = take.enqueue(blob)
    start_worker(app)
    assert job.result(LIMIT) == 2


def test_write_that_takes_too_long_is_refused(make_app: Any) -> None:
    """A content that could be swept before its job is stored gets no job."""
    app = make_app("memory://")
    clock = app.runtime().engine.clock = ManualClock()
    app.task(name="take")(_take)
    app.enqueue("take", Blob.from_stream(str(clock.advance("3h")).encode() for _ in range(4)))
    with pytest.raises(BlobError, match="took over 12 hours"):
        app.enqueue("take", Blob.from_stream(str(clock.advance("3h")).encode() for _ in range(5)))
    assert app.jobs.count() == 1


def test_resend_keeps_the_reference(app: Lineshaft, files: Any) -> None:
    """An enqueue that is sent again, because its answer was lost, stores the same job with the same content."""
    take = app.task(name="take")(_take)
    intake, store = app._intake, app._store
    send = store.send

    def lose_answer(operation: Any) -> Any:
        send(operation)
        return send(lambda engine, _: operation(engine, True))

    store.send = lose_answer  # type: ignore[method-assign]
    job = take.enqueue(Blob(b"x"))
    assert intake is app._intake
    assert [one.id for one in app.jobs.list()] == [job.id]
    assert len(files()) == 1


def test_testing_block_keeps_blobs_apart(app: Lineshaft, folder: Path) -> None:
    """Inside `app.testing()` blobs live in a temporary folder; the configured one is not touched."""
    double = app.task(name="double")(_double)
    with app.testing("inline"):
        assert double.enqueue(Blob(b"ab")).result().read() == b"abab"
    assert not folder.exists()


def _double(blob: Blob) -> Blob:
    return Blob(blob.read() * 2)


def test_postgres_needs_a_place(postgres_url: str, make_app: Any) -> None:
    """Without `blobs=` a PostgreSQL store takes no blob and says what to set; everything else works."""
    app = make_app(postgres_url)
    take = app.task(name="take")(_take)
    with pytest.raises(ConfigError, match="set blobs= or LINESHAFT_BLOBS"):
        take.enqueue(Blob(b"x"))
    assert app.jobs.count() == 0
    app.task(name="plain")(lambda: None).enqueue().delete()


def test_worker_without_a_place_costs_an_attempt(
    postgres_url: str, folder: Path, make_app: Any, start_worker: StartWorker
) -> None:
    """A worker that was not told where blobs are fails the attempt and says so; it does not refuse the job for ever."""
    take = make_app(postgres_url, blobs=str(folder)).task(name="read", retry=None)(_read)
    job = take.enqueue(Blob(b"x"))
    unaware = make_app(postgres_url)
    unaware.task(name="read", retry=None)(_read)
    start_worker(unaware)
    with pytest.raises(JobFailed, match="ConfigError: nothing says where") as caught:
        job.result(LIMIT)
    assert caught.value.reason == "error"


def test_fsspec_place(durable_url: str, make_app: Any, start_worker: StartWorker) -> None:
    """With an address of fsspec arguments and results go there, and go away with their job."""
    import fsspec

    app = make_app(durable_url, blobs="memory://bucket/jobs")
    double = app.task(name="double")(_double)
    start_worker(app)
    job = double.enqueue(Blob(LARGE))
    assert job.result(LIMIT).read() == LARGE * 2
    files = fsspec.filesystem("memory")
    assert len(files.find("/bucket/jobs")) == 2
    job.delete()
    assert files.find("/bucket/jobs") == []


def test_too_large_arguments_name_the_way_out(app: Lineshaft) -> None:
    """The error of a payload over the limit names `Blob`; a blob by a task's name alone is refused by name."""
    app.task(name="text")(_text)
    with pytest.raises(PayloadTooLargeError, match=r"pass a large value as lineshaft\.Blob"):
        app.enqueue("text", "x" * (2 << 20))
    with pytest.raises(PayloadError, match=r"is a Blob, .* enqueue through the task itself"):
        app.enqueue("unknown", Blob(b"x"))
    with pytest.raises(ConfigError, match="takes a Blob"):
        app.task(name="first", on_success=app.task(name="take")(_take).new(Blob(b"x")))(_give)


def _text(text: str) -> None: ...


def test_plain_jobs_run_no_further_statement(app: Lineshaft, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job without blobs neither opens the place nor asks for the store's name in it."""
    app.task(name="text")(_text)
    monkeypatch.setattr(type(app._store.depot), "place", property(lambda _: pytest.fail("the place was opened")))
    monkeypatch.setattr(type(app._store.depot), "root", property(lambda _: pytest.fail("the store was asked")))
    app.enqueue("text", "x").delete()


def test_reference_is_plain_json(app: Lineshaft, files: Any) -> None:
    """Where the code is not known, a job shows its blob as key, size and SHA-256; the key is the file's path."""
    blob = Blob(b"x")
    job = app.task(name="take")(_take).enqueue(blob)
    [reference] = job.args[0]
    assert reference == {"$blob": reference["$blob"], "size": 1, "sha256": blob.sha256}
    assert str(files()[0]).endswith(reference["$blob"])
