"""Worker processes whose duty says what it does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.apps import Process, StartProcess

StartKeeper = Callable[..., Process]


@pytest.fixture
def start_keeper(start_process: StartProcess) -> StartKeeper:
    """Starts a worker of `work.py` and waits until it is up: `start_keeper(url, lease="2s")`."""

    def start(url: str, **settings: Any) -> Process:
        process = start_process(Path(__file__).with_name("work.py"), url, json.dumps(settings))
        process.expect("ready")
        return process

    return start
