"""A dependency that works or does not, and the tasks that need it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft import Lineshaft, Retry
from tests.plugins.apps import eventually

if TYPE_CHECKING:
    from lineshaft import Job, Task
    from lineshaft.explaining import Hold
    from tests.plugins.apps import Gates

EVENTS = ("breaker_opened", "breaker_half_opened", "breaker_closed")


class Server:
    """What the tasks of a test need: down until the test says otherwise."""

    def __init__(self, gates: Gates) -> None:
        self._gates = gates

    def recover(self) -> None:
        """Let it answer from now on."""
        self._gates.open("server")

    def call(self) -> str:
        """Answer, or not."""
        if not self._gates.is_open("server"):
            msg = "no answer"
            raise ConnectionError(msg)
        return "answer"


@pytest.fixture
def server(gates: Gates) -> Server:
    """A dependency that is down."""
    return Server(gates)


Needing = Callable[..., "Task[[int], Any, Any]"]


@pytest.fixture
def needing(server: Server) -> Needing:
    """Adds a task to an app whose jobs need the server: `needing(app, breaker=…)`; they have one attempt."""

    def add(app: Lineshaft, name: str = "call", **options: Any) -> Task[[int], Any, Any]:
        def call(number: int) -> str:
            return server.call()

        return app.task(name=name, **{"retry": Retry(max_attempts=1), **options})(call)

    return add


def note_events(app: Lineshaft, gates: Gates) -> None:
    """Have the breakers' events of an app among the notes, as (kind, breaker)."""
    app.on(*EVENTS)(lambda event: gates.note((event.kind, event.breaker)))


def ended(jobs: Iterable[Job[Any]]) -> list[str]:
    """Return the states of jobs once all of them are final."""
    found = list(jobs)
    eventually(lambda: all(job.refresh().state.is_final for job in found))
    return [job.state.value for job in found]


def line_of(job: Job[Any]) -> Hold | None:
    """Return which breaker holds a job, if it stands in its line."""
    first = job.why()[0]
    return first if first.kind == "breaker" and first.facts["ahead"] is not None else None


def held(job: Job[Any]) -> Hold:
    """Return which breaker holds a job, once it stands in its line."""
    found: Hold = eventually(lambda: line_of(job))
    return found


def first_held(task: Task[[int], Any, Any], **options: Any) -> Job[Any]:
    """Enqueue jobs one by one until one is held: until then a worker may not know that the breaker is open."""
    found: list[Job[Any]] = []

    def is_held() -> bool:
        job = task.options(**options).enqueue(0)
        eventually(lambda: job.refresh().state.is_final or line_of(job))
        found.append(job)
        return not job.state.is_final

    eventually(is_held)
    return found[-1]
