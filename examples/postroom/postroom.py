"""A small application with background jobs: letters are sent and reminded of, the letterbox is emptied each morning.

lineshaft worker                                   # in one terminal
python -c 'import postroom; postroom.order("Ada")' # in another
python -m pytest                                   # its tests, which need neither a worker nor a store
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lineshaft import Fixed, Inject, Lineshaft, Retry, current_job

app = Lineshaft()  # the store is $LINESHAFT_STORE, else the file lineshaft.db
opened: list[str] = []


class Post:
    """The real post: here a file. Tests must not reach it."""

    def send(self, letter: str) -> str:
        """Send a letter and return its receipt."""
        with Path("letters.txt").open("a", encoding="utf-8") as sent:
            sent.write(f"{letter}\n")
        return f"sent {letter}"


def get_post() -> Post:
    """Return what letters are sent with; `lineshaft_overrides` gives tests another one."""
    return Post()


@app.lifespan
def franking_machine() -> Iterator[None]:
    """Keep a machine open for as long as a worker process lives."""
    opened.append("machine")
    yield
    opened.remove("machine")


@app.task(queue="letters", retry=Retry(max_attempts=3, backoff=Fixed("5m")))
def send_letter(customer: str, *, reminder: bool = False, post: Post = Inject(get_post)) -> str:  # noqa: B008 - how injection is written
    """Send an invoice, and have a reminder follow in two weeks."""
    if opened != ["machine"]:
        raise RuntimeError("the franking machine is not open")
    receipt = post.send(f"{'reminder' if reminder else 'invoice'} to {customer} ({current_job().attempt})")
    if not reminder:
        send_letter.options(delay="14d").enqueue(customer, reminder=True)
    return receipt


@app.task
async def greet(customer: str) -> str:
    """Greet."""
    return f"hello {customer}"


@app.schedule(name="morning", cron="0 7 * * mon-fri", timezone="Europe/Berlin", overlap="skip")
@app.schedule(name="month-end", days="last business day of the month", time="17:00", timezone="Europe/Berlin")
@app.task
def empty_letterbox() -> str:
    """Empty the letterbox; the job knows for which time it was enqueued, even if it runs later."""
    tick = current_job().tick
    return f"emptied for {tick:%d %B}" if tick else "emptied"


def order(customer: str) -> str:
    """Take an order, as a view would, and return the id of the job that sends the invoice."""
    return send_letter.enqueue(customer).id
