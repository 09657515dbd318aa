"""The course of limits that learn, in the store."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from lineshaft.clock import SECOND, WEEK
from lineshaft.gates import News
from lineshaft.store.course import Change, course_of, note_changes, prune_course
from tests.plugins.engines import NOW

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine

GROWN = News("api", "api", "limit_changed", NOW, 7, "success")


def course(engine: Engine, gate: str = "api", *, since: int = 0, limit: int = 100) -> list[Change]:
    """Return the course of a gate."""
    return engine.read(lambda tx: course_of(tx, gate, since=since, limit=limit))


def note(engine: Engine, *news: News) -> None:
    """Keep what happened."""
    engine.write(lambda tx: note_changes(tx, news))


def test_changes_are_kept_by_the_second(engine: Engine) -> None:
    """Of the changes of a second the last one is kept, in one step or in several, and the oldest comes first."""
    note(engine, replace(GROWN, at=NOW + 3 * SECOND, value=8), GROWN, replace(GROWN, at=NOW + 1, value=6, why="error"))
    note(engine, replace(GROWN, at=NOW + 3 * SECOND + 9, value=5, why="slow"))
    assert course(engine) == [Change(NOW, 6, "error"), Change(NOW + 3 * SECOND, 5, "slow")]


def test_only_limits_have_a_course(engine: Engine) -> None:
    """What happened to breakers is told and not kept here; other gates have courses of their own."""
    note(engine, replace(GROWN, kind="breaker_opened", value=None), replace(GROWN, gate="api=1"))
    assert course(engine) == []
    assert course(engine, "api=1") == [Change(NOW, 7, "success")]


def test_the_last_changes_since_a_time(engine: Engine) -> None:
    """A long course is asked for by its end, or since a time."""
    note(engine, *(replace(GROWN, at=NOW + number * SECOND, value=number) for number in range(10)))
    assert [one.value for one in course(engine, limit=3)] == [7, 8, 9]
    assert [one.value for one in course(engine, since=NOW + 8 * SECOND)] == [8, 9]


def test_a_week_is_kept(engine: Engine) -> None:
    """Changes older than a week are deleted, a part of all in each transaction, and no other."""
    old, kept = replace(GROWN, at=NOW - WEEK - 1), replace(GROWN, at=NOW - WEEK + SECOND)
    note(engine, kept, *(replace(old, gate=f"api={number:04}") for number in range(1_500)), replace(kept, gate="z"))
    place: tuple[str, int] | None = ("", 0)
    steps = 0
    while place is not None:
        place = engine.write(partial(prune_course, now=NOW, after=place))
        steps += 1
    assert steps == 2
    assert [len(course(engine, gate)) for gate in ("api", "api=0000", "api=1499", "z")] == [1, 0, 0, 1]
