"""Large values pass through a small memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lineshaft import Blob

if TYPE_CHECKING:
    from pathlib import Path

    from tests.plugins.apps import StartWorker

SIZE = 200 << 20
PIECE = bytes(1 << 20)
MOST = 16 << 20


def pieces() -> Iterator[bytes]:
    """Yield 200 MiB."""
    return (PIECE for _ in range(SIZE // len(PIECE)))


def test_blobs_are_never_whole_in_memory(tmp_path: Path, make_app: Any, start_worker: StartWorker) -> None:
    """200 MiB go in, through a job and out again within 16 MiB."""
    app = make_app(f"sqlite:///{tmp_path / 'jobs.db'}")

    @app.task(name="pass_on")
    def pass_on(blob: Blob) -> Blob:
        return Blob.from_stream(blob.chunks())

    start_worker(app)
    tracemalloc.start()
    try:
        result = pass_on.enqueue(Blob.from_stream(pieces())).result(50)
        assert result.size == SIZE
        assert sum(map(len, result.chunks())) == SIZE
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < MOST
