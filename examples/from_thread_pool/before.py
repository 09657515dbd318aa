"""Thumbnails in a pool of threads: what has not been made when the program ends, or is killed, is never made."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path


def shrink(picture: str, width: int = 200) -> str:
    """Make a thumbnail (here: a file that says so) and return its path."""
    target = Path("small") / f"{Path(picture).stem}-{width}.txt"
    target.parent.mkdir(exist_ok=True)
    target.write_text(f"{picture}, {width} pixels wide\n", encoding="utf-8")
    return str(target)


if __name__ == "__main__":
    pictures = [f"picture-{number}.jpg" for number in range(20)]
    with ThreadPoolExecutor(max_workers=4) as pool:
        for done in as_completed(pool.submit(shrink, picture) for picture in pictures):
            print(done.result())
