"""A recurrence is its own JSON form."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.errors import ScheduleError
from lineshaft.recurrence import Calendar, Cron, Days, Every, Once, Recurrence
from tests.recurrence.saying import NOW

DATES = st.integers(0, 3_000).map(lambda number: date(2026, 1, 1) + timedelta(days=number))
INSTANTS = st.integers(0, 2**52)
RULES = st.one_of(
    st.sampled_from(["0 6 * * *", "@daily", "*/5 9-17 * * MON-FRI"]).map(Cron),
    st.builds(Every, st.integers(1_000_000, 10**12), st.sampled_from(["clock", "finish"])),
    st.lists(INSTANTS, min_size=1, max_size=5).map(lambda times: Once(tuple(sorted(times)))),
    st.builds(Days, st.sampled_from(["every day", "last business day of the month"]), st.just(("06:00", "18:00"))),
)
CALENDARS = st.builds(
    lambda country, weekend, closed, opened, hours: Calendar(
        country, None, weekend, sorted(closed), sorted(opened - closed), hours
    ),
    st.sampled_from([None, "DE", ["DE-BY", "FR"]]),
    st.sampled_from([("sat", "sun"), ("fri",), ()]),
    st.sets(DATES),
    st.sets(DATES),
    st.sampled_from([None, "09:00-17:30"]),
)
RECURRENCES = st.builds(
    Recurrence,
    RULES,
    st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Chatham"]),
    st.none() | CALENDARS,
    st.sampled_from(["run", "skip"]),
    st.none() | INSTANTS,
    st.none() | INSTANTS,
)


@given(RECURRENCES, INSTANTS)
def test_what_was_stored_is_the_same_recurrence(recurrence: Recurrence, instant: int) -> None:
    """Through JSON a recurrence stays equal, keeps its hash, and says the same."""
    again = msgspec.json.decode(msgspec.json.encode(recurrence), type=Recurrence)
    assert again == recurrence
    assert hash(again) == hash(recurrence)
    assert again.after(instant) == recurrence.after(instant)
    assert again.in_words() == recurrence.in_words()


@pytest.mark.parametrize(
    "recurrence, text",
    [
        (Recurrence(Cron("0 6 * * *")), '{"rule":{"type":"cron","expression":"0 6 * * *"}}'),
        (
            Recurrence(Every(90_000_000, "finish"), "Europe/Berlin", start=5),
            '{"rule":{"type":"every","interval":90000000,"since":"finish"},"timezone":"Europe/Berlin","start":5}',
        ),
        (
            Recurrence(
                Days("every day", ("18:00",)), calendar=Calendar("DE", closed=[date(2026, 12, 24)]), on_closed="next"
            ),
            (
                '{"rule":{"type":"days","days":"every day","times":["18:00"]},'
                '"calendar":{"country":"DE","closed":["2026-12-24"]},"on_closed":"next"}'
            ),
        ),
        (Recurrence(Once((5, 6))), '{"rule":{"type":"once","times":[5,6]}}'),
    ],
)
def test_the_form_is_short_and_stays(recurrence: Recurrence, text: str) -> None:
    """What is stored names the rule and leaves defaults away; rows of older versions are read."""
    assert msgspec.json.encode(recurrence).decode() == text
    assert msgspec.json.decode(text, type=Recurrence) == recurrence


@pytest.mark.parametrize(
    "text",
    [
        '{"rule":{"type":"moon","phase":"full"}}',
        '{"rule":{"type":"cron","expression":"0 6 * * *","seconds":30}}',
        '{"rule":{"type":"cron","expression":"0 6 * * *"},"leap":true}',
        '{"rule":{"type":"cron","expression":"0 6 * * *"},"on_closed":"ask"}',
        '{"rule":{"type":"cron","expression":"0 6 * * *"},"calendar":{"planet":"mars"}}',
        '{"rule":{"type":"cron"}}',
        '{"rule":{"type":"every","interval":0}}',
        '{"rule":{"type":"days","days":"every day","times":["18:00:30"]}}',
    ],
)
def test_what_a_newer_version_stored_is_not_guessed_at(text: str) -> None:
    """A kind of rule, a field or a value that this version does not know fails to decode."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=Recurrence)


@pytest.mark.parametrize(
    "recurrence",
    [
        Recurrence(Cron("0 6 * * * *")),
        Recurrence(Days("every full moon", ("18:00",))),
        Recurrence(Cron("0 6 * * *"), "Europe/Atlantis"),
        Recurrence(Cron("0 6 * * *"), calendar=Calendar("XX")),
    ],
)
def test_what_cannot_be_evaluated_here_is_said(recurrence: Recurrence) -> None:
    """A text, a zone or a country that this machine does not know is a `ScheduleError` at the first question."""
    again = msgspec.json.decode(msgspec.json.encode(recurrence), type=Recurrence)
    with pytest.raises(ScheduleError):
        again.after(NOW)
