"""An app whose jobs a child process can import."""

from __future__ import annotations

from lineshaft import Blob, Lineshaft

app = Lineshaft("memory://")


@app.task
async def double_later(blob: Blob) -> Blob:
    return Blob(await blob.aread() * 2)


@app.task(runs_in="process")
def double_in_child(blob: Blob) -> Blob:
    return Blob(blob.read() * 2)
