"""The app that the tests of `lineshaft.testing` run; its store and its outbox lie in the current folder."""

from __future__ import annotations

import os
from pathlib import Path

from lineshaft import Lineshaft, Unique, current_job
from lineshaft.testing import chaos_point, effect

app = Lineshaft(
    os.environ.get("LINESHAFT_STORE", "sqlite:///jobs.db"), heartbeat="0.2s", silence="1s", stop_patience="0.5s"
)
OUTBOX = Path("outbox.txt")


def send(mail: str) -> None:
    with OUTBOX.open("a") as file:
        file.write(mail + "\n")
    effect("mail", mail)


@app.task
def note(order: int) -> None:
    """Be enqueued by the others."""


@app.task
def mails(order: int) -> None:
    send(f"order {order}")


@app.task
def mails_once(order: int) -> None:
    if not OUTBOX.exists():
        send(f"order {order}")


@app.task
def enqueues(order: int) -> None:
    note.enqueue(order)


@app.task
def enqueues_unique(order: int) -> None:
    note.options(unique=Unique(within="1h")).enqueue(order)


@app.task
def enqueues_in_transaction(order: int) -> None:
    current_job().progress(0.5)
    with current_job().transaction():
        note.enqueue(order)
    chaos_point("behind the block")


@app.task
async def enqueues_in_async_transaction(order: int) -> None:
    async with current_job().atransaction():
        await note.aenqueue(order)


@app.task
def fails(order: int) -> None:
    raise ValueError("no such order")


@app.task
def leaves(order: int) -> None:
    os._exit(3)


@app.task
def loops(order: int) -> None:
    while True:
        pass
