"""An enqueue whose reply is lost: it is sent again, and it is the same job."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit

import pytest

from lineshaft import Lineshaft, State
from lineshaft.app.store import Store
from lineshaft.errors import StoreUnavailableError
from tests.plugins.apps import LIMIT, Gates, StartWorker

COMMIT_REPLIES = (b"COMMIT\x00", b"INSERT 0 1\x00")  # of a transaction, and of a statement that is one by itself


class CommitEater:
    """A proxy before PostgreSQL that, once armed, forwards a commit and breaks the connection in place of its reply."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._server = socket.create_server(("127.0.0.1", 0))
        port = self._server.getsockname()[1]
        self.url = urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}"))
        self.is_armed = False
        self.has_eaten = threading.Event()
        self.may_break = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self.may_break.set()
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                server = socket.create_connection(self._target)
                for source, sink, is_reply in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._pump, args=(source, sink, is_reply), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_reply: bool) -> None:  # noqa: FBT001 - a direction
        with suppress(OSError), source, sink:
            while data := source.recv(65_536):
                if is_reply and self.is_armed and any(reply in data for reply in COMMIT_REPLIES):
                    self.is_armed = False
                    self.has_eaten.set()
                    self.may_break.wait(LIMIT)
                    source.shutdown(socket.SHUT_RDWR)
                    sink.shutdown(socket.SHUT_RDWR)
                    return
                sink.sendall(data)


@pytest.fixture
def commit_eater(postgres_url: str) -> Iterator[CommitEater]:
    proxy = CommitEater(postgres_url)
    yield proxy
    proxy.close()


def test_resent_job_that_finished_meanwhile_is_not_run_again(
    commit_eater: CommitEater,
    postgres_url: str,
    make_app: Callable[..., Lineshaft],
    start_worker: StartWorker,
    gates: Gates,
) -> None:
    """An enqueue whose reply was lost after its commit, sent again when its job has finished, changes nothing."""
    elsewhere = make_app(postgres_url)

    @elsewhere.task(name="once")
    def once() -> str:
        gates.note("ran")
        return "result"

    client = make_app(commit_eater.url)
    assert client.jobs.count() == 0
    start_worker(elsewhere)
    commit_eater.is_armed = True
    enqueued: list[str] = []
    enqueuing = threading.Thread(target=lambda: enqueued.append(client.enqueue("once").id))
    enqueuing.start()
    assert commit_eater.has_eaten.wait(LIMIT)
    assert gates.next() == "ran"
    [job] = elsewhere.jobs.list()
    assert job.result(10) == "result"
    commit_eater.may_break.set()
    enqueuing.join(LIMIT)
    assert enqueued == [job.id]
    after = elsewhere.enqueue("once")
    assert after.result(10) == "result"
    assert gates.next() == "ran"
    assert gates.notes.empty(), "the resent job ran again"
    assert {one.id: one.state for one in elsewhere.jobs.list()} == {
        job.id: State.COMPLETED,
        after.id: State.COMPLETED,
    }


@pytest.mark.parametrize("door, count", [("write_apart", 1), ("write", 2)])
def test_resend_after_a_lost_answer_is_the_same_job(
    app: Lineshaft, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch, door: str, count: int
) -> None:
    """On every store, an enqueue that committed before its connection failed gives back the jobs that it had stored."""
    runs: list[str] = []
    once = app.task(name="once")(lambda: runs.append("ran"))
    start_worker(app)
    write = getattr(app._store.engine, door)
    calls: list[bool] = []

    def write_and_lose_the_answer(*sent: object) -> object:
        answer = write(*sent)
        if threading.current_thread() is threading.main_thread() and not calls:
            calls.append(True)
            for job in app.jobs.list():
                job.wait(10)
            raise StoreUnavailableError("the connection broke before the answer came")
        return answer

    app.jobs.count()  # from here on the store counts as reached
    assert isinstance(app._store, Store)
    monkeypatch.setattr(app._store.engine, door, write_and_lose_the_answer)
    jobs = app.enqueue_many([once.new() for _ in range(count)])
    monkeypatch.undo()
    assert calls
    assert [job.wait(10).state for job in jobs] == [State.COMPLETED] * count
    app.enqueue("once").result(10)
    assert (len(runs), app.jobs.count()) == (count + 1, count + 1)
