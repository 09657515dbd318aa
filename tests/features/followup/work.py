"""Jobs that a child process imports by name."""

from __future__ import annotations

from lineshaft import Lineshaft, current_job

app = Lineshaft("sqlite:///nowhere/jobs.db")


@app.task(name="tell")
def tell(text: str) -> str:
    """Follow others."""
    return text


@app.task(name="parent", runs_in="process")
def own_transaction() -> None:
    """Complete in a transaction of one's own."""
    with current_job().transaction():
        """The block writes nothing of its own."""
