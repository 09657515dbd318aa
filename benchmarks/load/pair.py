"""One side of `benchmarks.compare`: enqueues and drains jobs of one tree's Lineshaft as often as it is told.

Usage: python pair.py STORE JOBS, with PYTHONPATH=TREE/src. Each line of input is one run; the answer is its seconds, as
JSON: {"wall": …, "cpu": …} of this process. It stands alone, for it runs with trees that are older than it.
"""

from __future__ import annotations

import json
import sys
import threading
import time

from lineshaft import Lineshaft

CHUNK = 1_000


def main() -> None:
    """Answer each line."""
    store, jobs = sys.argv[1], int(sys.argv[2])
    app = Lineshaft(store)
    app.migrate()
    done = threading.Semaphore(0)

    @app.task(name="pair.nothing")
    def nothing(number: int) -> int:
        if number == jobs - 1:
            done.release()
        return number

    with app.worker({"default": 10}):
        nothing.enqueue(jobs - 1).result(30)
        done.acquire()
        print(json.dumps({"ready": True}), flush=True)
        for _ in sys.stdin:
            wall, cpu = time.perf_counter(), time.process_time()
            for first in range(0, jobs - CHUNK, CHUNK):
                nothing.enqueue_many(range(first, first + CHUNK))
            last = nothing.enqueue_many(range(jobs - CHUNK, jobs))
            done.acquire()
            last[-1].result(60)
            took = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
            print(json.dumps(took), flush=True)


if __name__ == "__main__":
    main()
