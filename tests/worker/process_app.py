"""An app whose jobs try what a child process has to survive."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from lineshaft import Breaker, Lineshaft, Retry, current_job
from lineshaft.outcomes import Cancelled
from lineshaft.retry import Fixed

app = Lineshaft("memory://")
entered: list[str] = []


@app.lifespan
def counts_entries() -> Iterator[None]:
    entered.append("sync")
    yield


@app.lifespan
async def counts_async_entries() -> AsyncIterator[None]:
    entered.append(f"async on {id(asyncio.get_running_loop())}")
    yield


@app.lifespan
def tells_its_end() -> Iterator[None]:
    yield
    if "TELL_END" in os.environ:
        Path(os.environ["TELL_END"]).write_text("left")


def task(func: Any) -> Any:
    return app.task(runs_in="process", retry=Retry(2, backoff=Fixed("7s")))(func)


@task
def add(a: int, b: int = 1) -> int:
    return a + b


@task
async def add_later(a: int, b: int) -> int:
    await asyncio.sleep(0)
    return a + b


@app.task(runs_in="process", breaker=Breaker("guarded", on=ConnectionError))
def guarded(kind: str) -> None:
    raise {"down": ConnectionError, "wrong": ValueError}[kind](kind)


@task
def lifespans_entered() -> list[str]:
    return entered


@task
async def loop_is_the_lifespans() -> bool:
    return entered[1] == f"async on {id(asyncio.get_running_loop())}"


@task
def process_id() -> int:
    return os.getpid()


@task
def is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@task
def length(text: str) -> int:
    return len(text)


@task
def text_of(length: int) -> str:
    return "x" * length


@task
def not_json() -> Any:
    return object()


@task
def fails() -> None:
    raise ValueError("no such page")


@task
def exits() -> None:
    sys.exit("enough")


@task
def too_much_memory() -> int:
    limit = 2 << 30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return len(bytearray(limit))


@task
def grow(mebibytes: int) -> int:
    entered.append("x" * (mebibytes << 20))
    return os.getpid()


@task
def meet(barrier: str, go: str) -> int:
    Path(barrier).write_text(str(os.getpid()))
    Path(go).read_text()
    return os.getpid()


@task
def segfault() -> None:
    ctypes.string_at(0)


@task
def leave(code: int) -> None:
    os._exit(code)


def broken_backoff(attempt: int, error: BaseException) -> float:
    raise ValueError(f"no wait after attempt {attempt}: {error}")


@app.task(runs_in="process", retry=Retry(2, backoff=broken_backoff))
def leave_without_a_wait() -> None:
    os._exit(1)


@task
def store() -> str:
    return app.settings.store


@task
def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@task
def spin(begun: str) -> None:
    Path(begun).write_text(str(os.getpid()))
    re.match(r"(a+)+$", "a" * 60 + "b")


@task
def wait_for_cancel(begun: str, seen: str) -> None:
    try:
        Path(begun).write_text(str(os.getpid()))
        threading.Event().wait()
    except Cancelled as error:
        Path(seen).write_text(error.cause)
        raise


@task
async def wait_for_cancel_async(begun: str, seen: str) -> None:
    try:
        await asyncio.to_thread(Path(begun).write_text, "begun")
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        os.close(os.open(seen, os.O_CREAT))
        raise


@task
def ignore_everything(begun: str) -> None:
    """Start programs, one of them in a session of its own, and never end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sleepers = [
        subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=new)
        for new in (False, True)
    ]
    Path(begun).write_text(" ".join(str(one) for one in [os.getpid(), *(sleeper.pid for sleeper in sleepers)]))
    while True:
        with suppress(BaseException):
            signal.pause()


@task
def start_and_crash(begun: str) -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    Path(begun).write_text(str(sleeper.pid))
    os._exit(1)


@task
def write_garbage() -> None:
    os.write(int(sys.orig_argv[-2]), b"\xff" * 8)
    threading.Event().wait()


@task
def interrupt_itself() -> str:
    signal.raise_signal(signal.SIGINT)
    return "unharmed"


@task
def report(go: str) -> None:
    current_job().progress(0.5, "half")
    current_job().log.warning("half of it is done")
    Path(go).read_text()
    current_job().log.info("all of it is done")
    current_job().progress(1, "done")


@task
def talk_much() -> None:
    begun = time.monotonic()
    while (seconds := time.monotonic() - begun) < 0.4:
        current_job().progress(seconds)
    current_job().progress(1)


@app.task(timeout="90s", runs_in="process")
def attempt_and_tags() -> list[Any]:
    job = current_job()
    return [job.id, job.attempt, job.tags, job.meta, job.queue]  # type: ignore[attr-defined]
