"""A process of its own that enqueues a blob or runs a worker, and can be killed in the middle of writing one.

Arguments: the store's address, the folder of the blobs, `enqueue`, `hold` (a worker whose results are never written to
their end) or `pass` (a worker).
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator

from lineshaft import Blob, Lineshaft

URL, FOLDER, MODE = sys.argv[1:4]
app = Lineshaft(URL, blobs=FOLDER, heartbeat="0.1s", silence="0.5s")


def say(*words: object) -> None:
    """Write a line at once and whole, whichever thread or child it comes from."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def pieces(first: bytes, last: bytes, *, stops: bool) -> Iterator[bytes]:
    yield first
    yield b"x" * (2 << 20)  # beyond what a file keeps in memory
    say("writing")
    if stops:
        threading.Event().wait()
    yield last


@app.task(name="take")
def take(blob: Blob) -> int:
    return blob.size


@app.task(name="give_in_thread")
def give_in_thread(blob: Blob) -> Blob:
    return Blob.from_stream(pieces(blob.read(), b"end", stops=MODE == "hold"))


@app.task(name="give_in_child", runs_in="process")
def give_in_child(blob: Blob) -> Blob:
    return Blob.from_stream(pieces(blob.read(), b"end", stops=MODE == "hold"))


if __name__ == "__main__":
    if MODE == "enqueue":
        take.enqueue(Blob.from_stream(pieces(b"1", b"2", stops=True)))
    say("ready")
    app.run()
