"""Play scenes and write their pictures into docs/images."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from benchmarks.pictures.drawing import save
from benchmarks.pictures.limits import adaptive, breaker, concurrency, order, rate
from benchmarks.pictures.moves import breaker_moves
from benchmarks.pictures.queues import depth, fairness, pace, queue, weights
from benchmarks.pictures.stage import Stage, new_stage

IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"
SCENES: Final[Mapping[str, Callable[[Stage], Figure]]] = {
    one.__name__: one for one in (concurrency, rate, order, queue, fairness, weights, depth, pace, breaker, adaptive)
}
"""By the name of their picture, in the order of the page."""
DIAGRAM: Final = "breaker-moves"


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw all pictures, or those that are named."""
    parser = argparse.ArgumentParser(prog="pictures", description=__doc__)
    parser.add_argument("scenes", nargs="*", choices=[[], *SCENES, DIAGRAM], help="which ones (default: all)")
    parser.add_argument("--into", type=Path, default=IMAGES, help="the folder that takes the pictures")
    given = parser.parse_args(arguments)
    for name in given.scenes or [*SCENES, DIAGRAM]:
        path = given.into / f"flow-{name}.svg"
        save(_draw(name), path)
        print(path, flush=True)
    return 0


def _draw(name: str) -> Figure:
    if name == DIAGRAM:
        return breaker_moves()
    with new_stage() as stage:
        return SCENES[name](stage)


if __name__ == "__main__":
    sys.exit(main())
