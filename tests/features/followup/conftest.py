"""An app whose jobs are followed by others, and what follows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lineshaft import Job, Lineshaft, Task
from tests.plugins.apps import eventually


@pytest.fixture
def tell(app: Lineshaft) -> Task[..., Any, Any]:
    """A task that follows others; it returns its text."""

    @app.task(name="tell", queue="news")
    def tell(text: str) -> str:
        return text

    return tell


@pytest.fixture
def told(app: Lineshaft) -> Callable[[], list[str]]:
    """Returns the texts of the jobs of `tell` that are stored, whatever has become of them, in order."""
    return lambda: sorted(job.args[0][0] for job in app.jobs.iter(name="tell"))


def final(job: Job[Any]) -> Job[Any]:
    """Return a job when it is final."""
    eventually(lambda: job.refresh().state.is_final)
    return job
