"""Jobs that do what no job should; run by `test_job_zoo.py` in each lane that they do not take along.

Arguments: the store's address, the queues, the settings as JSON.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lineshaft import Lineshaft, Retry

URL, QUEUES = sys.argv[1:3]
app = Lineshaft(URL, **json.loads(sys.argv[3]))
ONCE = Retry(max_attempts=1)


@app.lifespan
def announce() -> Iterator[None]:
    if os.environ.get("LINESHAFT_CHILD") != "1":
        os.write(1, b"ready\n")
    yield


@app.task(retry=ONCE, runs_in="process")
def out_of_memory() -> int:
    resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))
    return len(bytearray(1 << 30))


@app.task(retry=ONCE, runs_in="process")
def segfault() -> None:
    ctypes.string_at(0)


@app.task(retry=ONCE, runs_in="process")
def leave() -> None:
    os._exit(3)


@app.task(retry=ONCE, runs_in="process", timeout="0.5s")
def loop_for_ever() -> None:
    while True:
        pass


@app.task(retry=ONCE, runs_in="process", timeout="0.5s")
def breed() -> None:
    subprocess.run(["sh", "-c", "sleep 600 & sleep 600"], check=False)


@app.task(retry=ONCE)
def recurse(depth: int = 0) -> int:
    return recurse(depth + 1) + 1


@app.task(retry=ONCE)
def return_a_lock() -> Any:
    return threading.Lock()


@app.task(retry=ONCE)
def return_100_megabytes() -> str:
    return "x" * 100_000_000


@app.task(retry=ONCE)
async def block_the_loop(seconds: float) -> str:
    time.sleep(seconds)  # noqa: ASYNC251 - the misdeed
    return "blocked"


@app.task(retry=ONCE)
def leak_threads() -> str:
    for _ in range(50):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    return "leaked"


@app.task(retry=ONCE, runs_in="process")
def close_descriptors() -> str:
    os.closerange(3, 256)
    return "closed"


@app.task(retry=ONCE)
def change_folder() -> str:
    os.chdir("/")
    return str(Path.cwd())


@app.task(retry=ONCE)
def raise_base_exception() -> None:
    raise BaseException("zoo")  # noqa: TRY002 - the misdeed


@app.task(retry=ONCE)
def exit_the_interpreter() -> None:
    sys.exit(4)


@app.task(retry=ONCE)
def interrupt() -> None:
    raise KeyboardInterrupt


@app.task(retry=ONCE, runs_in="process")
def kill_the_group() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)


@app.task
def neighbour(name: str) -> str:
    return name


@app.task
async def async_neighbour(name: str) -> str:
    return name


@app.task(runs_in="process")
def separate_neighbour(name: str) -> str:
    return name


if __name__ == "__main__":
    app.run(QUEUES)
