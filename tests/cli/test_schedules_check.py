"""`schedules check`: rules in words, without a store."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

from tests.cli.test_reference import PAGE

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


def test_the_pages_example(call: Callable[..., Ran]) -> None:
    """docs/cli.md shows what the command prints."""
    found = re.search(
        r"^```console\n\$ lineshaft (schedules check .*?[^\\])\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL
    )
    assert found is not None
    assert call(*shlex.split(found[1].replace("\\\n", ""))).out == found[2]


def test_a_day_as_an_end(call: Callable[..., Ran]) -> None:
    """A day without a time is the whole of it: from its first moment, and up to its last."""
    bounds = ("--start", "2099-12-30", "--end", "2099-12-31")
    shown = call("schedules", "check", "0 */12 * * *", "--timezone", "Europe/Berlin", *bounds, "--json").json
    assert shown["next"] == [
        "2099-12-29T23:00:00Z", "2099-12-30T11:00:00Z", "2099-12-30T23:00:00Z", "2099-12-31T11:00:00Z",
    ]  # fmt: skip


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
