"""What travels from the code that enqueues to the job that runs: chosen ContextVars and the trace."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Any

import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, get_current_span, use_span

from lineshaft import Lineshaft, PayloadError, current_job
from lineshaft.context import log_fields
from tests.plugins.apps import StartWorker, eventually

request: ContextVar[Any] = ContextVar("request", default=None)
SPAN = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1))


@pytest.mark.parametrize("is_async", [False, True], ids=["thread", "async"])
def test_context_travels(app: Lineshaft, start_worker: StartWorker, is_async: bool) -> None:  # noqa: FBT001
    """A job sees the named ContextVars and the span of its enqueuer, its log lines name both, and the next job none."""
    app._context["request"] = request

    def look() -> list[Any]:
        current_job().log.info("here")
        logging.getLogger("elsewhere").info("not kept")
        span = get_current_span().get_span_context()
        return [request.get(), span.trace_id, span.span_id]

    async def alook() -> list[Any]:
        return look()

    task: Any = app.task(name="look")(alook if is_async else look)
    token = request.set("r-17")
    with use_span(NonRecordingSpan(SPAN)):
        carrying = task.enqueue()
    request.reset(token)
    plain = task.enqueue()
    start_worker(app)
    assert carrying.result(20) == ["r-17", 0xABC, 0xDEF]
    assert plain.result(20) == [None, 0, 0]
    [line] = eventually(carrying.logs)
    assert line["context"] == {"request": "r-17"}
    assert (line["trace_id"], line["parent_span_id"]) == (f"{0xABC:032x}", f"{0xDEF:016x}")
    [bare] = eventually(plain.logs)
    assert bare.keys() == {"attempt", "at", "level", "logger", "message"}


def test_what_cannot_travel_is_refused(app: Lineshaft) -> None:
    """A ContextVar whose value is no JSON is refused at enqueue, by its name, and nothing is stored."""
    app._context["request"] = request
    task = app.task(name="noop")(lambda: None)
    token = request.set(object())
    try:
        with pytest.raises(PayloadError, match="the context variable 'request' holds object, which cannot travel"):
            task.enqueue()
    finally:
        request.reset(token)
    assert app.jobs.count() == 0


@pytest.mark.parametrize("parent", ["", "00-abc-def-01", "nonsense", "00-" + "A" * 32 + "-" + "b" * 16 + "-01"])
def test_a_broken_trace_is_left_out(parent: str) -> None:
    """A `traceparent` that W3C Trace Context does not know adds nothing to log lines, and harms none."""
    assert log_fields(f'{{"traceparent":"{parent}","user":7}}') == {"context": {"user": 7}}
