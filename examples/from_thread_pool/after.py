"""The same with Lineshaft: what was enqueued is made, in this run of the program or in the next.

    python after.py             # stop it with Ctrl-C, or kill it, and start it again: nothing is made twice or left out

Later, `lineshaft worker --app after:app` as a process of its own takes the place of `with app.worker()`.
"""

from __future__ import annotations

from pathlib import Path

from lineshaft import Lineshaft, Unique

app = Lineshaft()  # the store is $LINESHAFT_STORE, else the file lineshaft.db


@app.task(unique=Unique(within="1d"))  # a program that is started again enqueues nothing that was made already
def shrink(picture: str, width: int = 200) -> str:
    """Make a thumbnail (here: a file that says so) and return its path."""
    target = Path("small") / f"{Path(picture).stem}-{width}.txt"
    target.parent.mkdir(exist_ok=True)
    unfinished = target.with_suffix(".part")
    unfinished.write_text(f"{picture}, {width} pixels wide\n", encoding="utf-8")
    unfinished.replace(target)  # whole or not at all, however often it is begun
    return str(target)


if __name__ == "__main__":
    pictures = [f"picture-{number}.jpg" for number in range(20)]
    with app.worker({"default": 4}):
        for done in app.as_completed(shrink.enqueue_many(pictures), timeout="1m"):
            print(done.result())
    app.close()
