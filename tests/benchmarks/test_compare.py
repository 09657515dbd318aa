"""Comparing with another revision: how the ratio and its interval come from pairs, and that both sides run."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from benchmarks.compare import LEAST, ROOT, _pairs, ratio

if TYPE_CHECKING:
    from collections.abc import Sequence


def test_the_interval_encloses_the_median() -> None:
    """The median of the pairs stands within its interval, which narrows with the number of pairs."""
    draw = random.Random(3)  # noqa: S311 - guards nothing
    few, many = ([draw.gauss(1.0, 0.05) for _ in range(count)] for count in (10, 300))
    wide, narrow = ratio(few), ratio(many)
    assert wide.low <= wide.middle <= wide.high
    assert narrow.low <= narrow.middle <= narrow.high
    assert narrow.high - narrow.low < (wide.high - wide.low) / 2


@pytest.mark.parametrize("ratios, is_reached", [([0.96] * 30, False), ([0.98] * 30, True), ([0.9, 1.1] * 15, False)])
def test_a_loss_is_seen_and_so_is_doubt(ratios: Sequence[float], is_reached: bool) -> None:  # noqa: FBT001 - a case
    """What got slower misses the target, and so does what may have got slower as far as the pairs tell."""
    assert (ratio(ratios).low > LEAST) is is_reached


@pytest.mark.timeout(90)
def test_a_tree_beside_itself() -> None:
    """Each pair is a run of both sides, with wall and processor time of each; the first pair only warms them."""
    pairs = list(_pairs("sqlite", ROOT, 2, 1_000))
    assert len(pairs) == 2
    assert all(side["cpu"] > 0 and side["wall"] > 0 for pair in pairs for side in pair)
