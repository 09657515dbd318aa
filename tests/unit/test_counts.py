"""Whole numbers from 1: what is one, and what is said of anything else."""

from __future__ import annotations

from typing import Any

import pytest

from lineshaft.counts import checked_count, is_count
from lineshaft.errors import ConfigError, ScheduleError


@pytest.mark.parametrize("value", [0, -1, True, False, 1.0, "1", None])
def test_what_is_no_count(value: Any) -> None:
    """Neither zero nor a text, and no `bool`, though it is an `int` to Python."""
    assert not is_count(value)
    with pytest.raises(ConfigError) as refused:
        checked_count("limit", value)
    assert str(refused.value) == f"limit={value!r} must be a whole number from 1"


def test_largest_one() -> None:
    """Both ends belong to the range, and the error says it, as the kind of error that the caller wants."""
    assert [checked_count("n", value, 10_000) for value in (1, 10_000)] == [1, 10_000]
    with pytest.raises(ScheduleError, match=r"^n=10001 must be a whole number from 1 to 10,000$"):
        checked_count("n", 10_001, 10_000, error=ScheduleError)
