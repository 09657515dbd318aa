"""`schedules check`: rules in words, without a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran


def test_a_rule_in_words(call: Callable[..., Ran], tmp_path: Path) -> None:
    """The rule is told in words, with its next times; no store is made for it."""
    ran = call("schedules", "check", "0 6 24 12 *", "--timezone", "Europe/Berlin", "--start", "2099-01-01", "-n", "2")
    assert ran.out.splitlines() == [
        "on the 24th of December at 06:00 Berlin time, from 2099-01-01 00:00",
        "Europe/Berlin              UTC",
        "2099-12-24T06:00:00+01:00  2099-12-24T05:00:00Z",
        "2100-12-24T06:00:00+01:00  2100-12-24T05:00:00Z",
    ]
    assert list(tmp_path.iterdir()) == []


def test_as_json(call: Callable[..., Ran]) -> None:
    """JSON has the rule's own arguments, and times in UTC."""
    shown = call("schedules", "check", "--at", "2099-12-24T18:00", "--timezone", "Asia/Tokyo", "--json").json
    assert shown == {
        "in_words": "at 2099-12-24 18:00 Tokyo time",
        "timezone": "Asia/Tokyo",
        "rule": {"at": ["2099-12-24T09:00:00Z"], "timezone": "Asia/Tokyo"},
        "next": ["2099-12-24T09:00:00Z"],
    }


def test_since_the_finish(call: Callable[..., Ran]) -> None:
    """A rule that counts from the end of jobs is told as if each ended at once."""
    shown = call(
        "schedules", "check", "--every", "1d", "--since", "finish", "--start", "2099-01-01", "-n", "3", "--json"
    ).json
    assert shown["next"] == ["2099-01-01T00:00:00Z", "2099-01-02T00:00:00Z", "2099-01-03T00:00:00Z"]


@pytest.mark.parametrize(
    "given, said",
    [
        ([], "say when: an expression such as '0 6 * * *', or --every, --at or --days"),
        (["--timezone", "UTC"], "say when"),
        (["@daily", "--cron", "@hourly"], "the expression stands twice"),
        (["0 0 31 2 *"], "never fires"),
        (["0 24 * * *"], "the hour '24' is wrong"),
        (["@daily", "--every", "1h"], "got cron= and every="),
        (["--days", "every day"], "time="),
        (["@daily", "-n", "0"], "Invalid value for '--number'"),
        (["@daily", "more"], "unexpected extra argument"),
    ],
)
def test_wrong_rules(call: Callable[..., Ran], given: list[str], said: str) -> None:
    """A rule that cannot be meant, or never fires, is exit code 2 and one line."""
    ran = call("schedules", "check", *given)
    assert ran.code == 2
    assert said in ran.complaint
