"""What a worker, or a child of one, needs to know of the app that it works for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from lineshaft.blobs import Depot
from lineshaft.config import Retention, Settings
from lineshaft.engines.base import Engine
from lineshaft.events import Subscribers
from lineshaft.feature import Feature
from lineshaft.registry import TaskRegistrar
from lineshaft.worker.leading import MakeLeader, no_leader

Middleware = Callable[[Any, Callable[[], Any]], Any]
Lifespan = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Runtime:
    """The parts of an app that run jobs."""

    engine: Engine
    tasks: TaskRegistrar
    settings: Settings
    middleware: Sequence[Middleware]
    lifespans: Sequence[Lifespan]
    providers: Mapping[Callable[..., Any], Callable[..., Any]]
    context: Mapping[str, ContextVar[Any]]
    subscribers: Subscribers
    app_path: str | None
    """How a child process finds the app, as `module:name` or `file:PATH:name`; None when it cannot."""
    retention: Retention
    features: Sequence[Feature] = ()
    depot: Depot = field(default_factory=Depot)
    """The large values of the store's jobs."""
    make_leader: MakeLeader = no_leader
    """Makes the part of a worker that leads."""
