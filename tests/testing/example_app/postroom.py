"""A small application with background jobs: letters are rendered, sent, and reminded of."""

from __future__ import annotations

from collections.abc import Iterator

from lineshaft import Fixed, Inject, Lineshaft, Retry, current_job

app = Lineshaft("postgresql://nobody@192.0.2.1:1/production?connect_timeout=1")
opened: list[str] = []


class Post:
    """The real post, which tests must not reach."""

    def send(self, letter: str) -> str:
        """Send a letter."""
        raise ConnectionError(f"there is no way out of a test for {letter!r}")


def get_post() -> Post:
    return Post()


@app.lifespan
def franking_machine() -> Iterator[None]:
    opened.append("machine")
    yield
    opened.remove("machine")


@app.task(queue="letters", retry=Retry(max_attempts=3, backoff=Fixed("5m")))
def send_letter(customer: str, *, reminder: bool = False, post: Post = Inject(get_post)) -> str:  # noqa: B008 - how injection is written
    assert opened == ["machine"]
    receipt = post.send(f"{'reminder' if reminder else 'invoice'} to {customer} ({current_job().attempt})")
    if not reminder:
        send_letter.options(delay="14d").enqueue(customer, reminder=True)
    return receipt


@app.task
async def greet(customer: str) -> str:
    return f"hello {customer}"


def order(customer: str) -> str:
    """Take an order, as a view would, and return the id of the job that sends the invoice."""
    return send_letter.enqueue(customer).id
