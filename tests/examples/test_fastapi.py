"""The FastAPI example under a real uvicorn: reloads and stops with jobs in flight lose and double nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from lineshaft import Job, Lineshaft
from tests.examples.conftest import CopyExample
from tests.plugins.apps import eventually, unmeasured

ROOT: Final = Path(__file__).parents[2]
LIMIT: Final = 40.0
ADDRESS = re.compile(r"running on (http://127\.0\.0\.1:\d+)")


class Uvicorn:
    """A running `uvicorn main:api` and what it has said so far."""

    def __init__(self, folder: Path, store: str, *options: str, grace: str) -> None:
        self._folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "main:api", "--port", "0", "--no-access-log", *options],
            cwd=folder,
            env={
                **unmeasured(),
                "PYTHONPATH": str(ROOT / "src"),
                "LINESHAFT_STORE": store,
                "LINESHAFT_GRACE": grace,
                "LINESHAFT_STOP_PATIENCE": "0.4s",
            },
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.client = httpx2.Client(base_url=self._address(), timeout=LIMIT)

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(self.process.stderr)

    def _address(self) -> str:
        self.await_said("Application startup complete")
        self.await_said("(Press CTRL+C to quit)")  # the end of the line with the address
        found = ADDRESS.search("".join(self.said))
        assert found, self.said
        return found[1]

    def await_said(self, text: str, count: int = 1) -> None:
        """Wait until it has said this so many times."""
        eventually(lambda: "".join(self.said).count(text) >= count or self.process.poll() is not None, limit=LIMIT)
        assert "".join(self.said).count(text) >= count, "".join(self.said)

    def order(self, customer: str, pages: int, seconds_a_page: float) -> str:
        """Order a report as a browser would, and return its job's id."""
        answer = self.client.post(
            f"/reports/{customer}", params={"pages": pages, "seconds_a_page": seconds_a_page}
        ).raise_for_status()
        return str(answer.json()["job"])

    def report(self, job_id: str) -> dict[str, Any]:
        """Return what the application says of a report."""
        answer: dict[str, Any] = self.client.get(f"/reports/{job_id}").raise_for_status().json()
        return answer

    def reload(self) -> None:
        """Change the application's file, as an editor does, and wait until its next process serves."""
        before = "".join(self.said).count("Application startup complete")
        file = self._folder / "main.py"
        changed = file.stat().st_mtime_ns + 5_000_000_000
        os.utime(file, ns=(changed, changed))
        self.await_said("Application startup complete", before + 1)

    def stop(self, number: signal.Signals) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(LIMIT)
        self._reader.join(LIMIT)
        return code

    def close(self) -> None:
        """End it, whatever it does."""
        self.client.close()
        if self.process.poll() is None:
            self.stop(signal.SIGTERM)
        assert self.process.stderr is not None
        self.process.stderr.close()


Serve = Callable[..., Uvicorn]


@pytest.fixture
def serve(copy_example: CopyExample, durable_url: str) -> Iterator[Serve]:
    """Starts the example on each durable store in turn: `serve("--reload", grace="10s")`."""
    started: list[Uvicorn] = []

    def start(*options: str, grace: str = "10s") -> Uvicorn:
        started.append(Uvicorn(copy_example("fastapi_app"), durable_url, *options, grace=grace))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def store(durable_url: str) -> Iterator[Lineshaft]:
    """The application's store, as an operator sees it."""
    app = Lineshaft(durable_url)
    yield app
    app.close()


def begun(job: Job[Any]) -> int:
    """How often the report's code has begun, as it logged itself."""
    return sum("begins" in line["message"] for line in job.logs())


def await_running(server: Uvicorn, *job_ids: str) -> None:
    """Wait until the code of these jobs runs: the first page is reported when it begins."""
    for job_id in job_ids:
        eventually(lambda job_id=job_id: server.report(job_id)["state"] == "running", limit=LIMIT)  # type: ignore[misc]


def test_reload_finishes_what_runs(serve: Serve, store: Lineshaft) -> None:
    """Jobs that run while uvicorn reloads finish in the old process, the others in the next: each runs once."""
    server = serve("--reload")
    ids = [server.order(f"customer-{number}", 4, 0.2) for number in range(8)]
    await_running(server, ids[0])
    server.reload()
    eventually(lambda: all(server.report(one)["state"] == "completed" for one in ids), limit=LIMIT)
    jobs = [store.jobs.get(one) for one in ids]
    assert [job.value for job in jobs] == [f"4 pages for customer-{number}" for number in range(8)]
    assert [(job.attempt, begun(job)) for job in jobs] == [(1, 1)] * 8
    assert len(store.workers.list()) == 1
    assert store.jobs.count() == 8


def test_reload_puts_long_jobs_back(serve: Serve, store: Lineshaft) -> None:
    """A job that outlasts the grace begins again in the next process, and has used up no attempt."""
    server = serve("--reload", grace="0.2s")
    job_id = server.order("ada", 20, 0.1)
    await_running(server, job_id)
    server.reload()
    eventually(lambda: server.report(job_id)["state"] == "completed", limit=LIMIT)
    job = store.jobs.get(job_id)
    assert (job.value, job.attempt, begun(job)) == ("20 pages for ada", 1, 2)
    assert server.stop(signal.SIGINT) == 0
    assert store.workers.list() == []


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 0)])
def test_stop_finishes_what_runs(serve: Serve, store: Lineshaft, number: signal.Signals, code: int) -> None:
    """A signal ends the server when running jobs have finished, with uvicorn's exit code, and signs its worker off."""
    server = serve()
    job_id = server.order("ada", 4, 0.2)
    await_running(server, job_id)
    assert server.stop(number) == code, server.said
    job = store.jobs.get(job_id)
    assert (job.state, job.attempt, begun(job)) == ("completed", 1, 1)
    assert store.workers.list() == []
    assert "Application shutdown complete" in "".join(server.said)


def test_stop_puts_long_jobs_back(serve: Serve, store: Lineshaft) -> None:
    """What does not finish within the grace waits for the next start, and has used up no attempt."""
    server = serve(grace="0.2s")
    job_id = server.order("ada", 200, 0.1)
    await_running(server, job_id)
    server.stop(signal.SIGTERM)
    job = store.jobs.get(job_id)
    assert (job.state, job.attempt) == ("queued", 0)
    assert store.workers.list() == []
