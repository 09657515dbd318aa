"""The gates at which tests hold jobs: what opens them is another thread than the one that waits."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from types import FrameType
from typing import Any, Final

from tests.plugins.apps import Gates

_STEPS: Final = 40
"""More than a first look at a gate takes, so that it is also opened between two looks."""


def test_gate_opened_while_somebody_looks_is_open() -> None:
    """A gate lets its job through when it is opened at whatever step of the job's first look at it."""
    with ThreadPoolExecutor(1) as thread:  # of its own: it has a tracer of its own
        for step in range(_STEPS):
            gates = Gates()
            opening, waiting = partial(gates.open, "gate"), partial(gates.wait, "gate")
            thread.submit(_at_step, step, opening, waiting).result()


def _at_step(step: int, act: Callable[[], None], call: Callable[[], None]) -> None:
    """Make a call and act once, at this step of it: where the interpreter begins its so manieth function or line."""
    steps = count()

    def trace(_frame: FrameType, event: str, _arg: Any) -> Any:
        if event in ("call", "line") and next(steps) == step:
            act()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
