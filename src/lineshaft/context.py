"""Context that travels with a job: chosen ContextVars, and the W3C trace context where OpenTelemetry is loaded."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

import msgspec

from lineshaft.errors import PayloadError

_TRACE: Final = ("traceparent", "tracestate")
# https://www.w3.org/TR/trace-context/#traceparent-header: version, trace id, the id of the parent span, flags
_TRACE_PARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")


def captured(variables: Mapping[str, ContextVar[Any]]) -> str | None:
    """Return the present context as JSON text, None when there is none.

    Raises `PayloadError`, naming the variable, when a value cannot be stored as JSON.
    """
    carried: dict[str, Any] = _trace_context()
    for name, variable in variables.items():
        value = variable.get(None)
        if value is not None:
            carried[name] = _plain(name, value)
    return msgspec.json.encode(carried).decode() if carried else None


def restored(text: str | None, variables: Mapping[str, ContextVar[Any]]) -> None:
    """Set the variables, and the trace context, in the context of the job that runs here."""
    if text is None:
        return
    carried: dict[str, Any] = msgspec.json.decode(text)
    for name, variable in variables.items():
        if name in carried:
            variable.set(carried[name])
    _attach_trace({key: carried[key] for key in _TRACE if key in carried})


def log_fields(text: str | None) -> dict[str, Any]:
    """Return what a job's log lines say of the context that it carries: `trace_id`, `parent_span_id`, `context`.

    The first two come of the W3C trace context, whose span is the one that enqueued the job; `context` holds the named
    ContextVars. What the job does not carry is left out.
    """
    if text is None:
        return {}
    carried: dict[str, Any] = msgspec.json.decode(text)
    named = {name: value for name, value in carried.items() if name not in _TRACE}
    found = _TRACE_PARENT.fullmatch(str(carried.get("traceparent", "")))
    trace = {} if found is None else {"trace_id": found[1], "parent_span_id": found[2]}
    return {**trace, "context": named} if named else trace


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, str | int | float | bool | list | dict):
        return value
    msg = f"the context variable {name!r} holds {type(value).__name__}, which cannot travel; use plain JSON values"
    raise PayloadError(msg)


def _trace_context() -> dict[str, Any]:
    if "opentelemetry" not in sys.modules:
        return {}
    from opentelemetry import propagate  # type: ignore[import-not-found,unused-ignore]

    carrier: dict[str, Any] = {}
    propagate.inject(carrier)
    return {key: carrier[key] for key in _TRACE if key in carrier}


def _attach_trace(carrier: Mapping[str, str]) -> None:
    if carrier and "opentelemetry" in sys.modules:
        from opentelemetry import context, propagate  # type: ignore[import-not-found,unused-ignore]

        context.attach(propagate.extract(dict(carrier)))
