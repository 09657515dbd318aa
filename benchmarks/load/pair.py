"""One side of `benchmarks.compare`: enqueues jobs of one tree's Lineshaft and has its worker run them.

Usage: python pair.py JOBS, with PYTHONPATH=TREE/src and LINESHAFT_STORE. Each line of input is one run; the answer is
its seconds, as JSON: {"wall": …, "cpu": …}, the latter of this process and of the worker, which is one of its own. It
stands alone, for it runs with trees that are older than it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil

from lineshaft import Lineshaft

CHUNK = 1_000
app = Lineshaft()


@app.task(name="pair.nothing")
def nothing(number: int) -> int:
    """Do nothing."""
    return number


def main() -> None:
    """Answer each line."""
    jobs = int(sys.argv[1])
    command = [sys.executable, "-m", "lineshaft", "--app", "pair:app", "worker", "--queues", "default:10"]
    with subprocess.Popen([*command, "--log-level", "warning"], cwd=Path(__file__).parent) as process:
        try:
            worker = psutil.Process(process.pid)
            nothing.enqueue(0).result(30)
            print(json.dumps({"ready": True}), flush=True)
            for _ in sys.stdin:
                wall, cpu = time.perf_counter(), _cpu(worker)
                stored = [nothing.enqueue_many(range(first, first + CHUNK))[-1] for first in range(0, jobs, CHUNK)]
                stored[-1].result(60)
                took = {"wall": time.perf_counter() - wall, "cpu": _cpu(worker) - cpu}
                print(json.dumps(took), flush=True)
        finally:
            process.terminate()


def _cpu(worker: psutil.Process) -> float:
    times = worker.cpu_times()
    return time.process_time() + times.user + times.system


if __name__ == "__main__":
    main()
