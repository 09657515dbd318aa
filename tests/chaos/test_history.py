"""The checker of histories: it finds each kind of wrong history, and nothing in a right one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.chaos.history import Bounds, Event, Findings, Kind, Recorder, Row, check, read

SECOND = 1_000_000


def event(kind: Kind, at: int, *, key: str = "a", job: str = "job-a", claim: int = 1, worker: int = 7) -> Event:
    return Event(kind, key, job, claim, claim, worker, at)


def row(*, key: str = "a", job: str = "job-a", state: str = "completed", claim: int = 1, run_at: int = 0) -> Row:
    return Row(job, key, state, claim, run_at, (0, run_at))


SENT, ACKNOWLEDGED = event(Kind.SENT, 1), event(Kind.ACKNOWLEDGED, 2)
START, END, FINISH = event(Kind.START, 3), event(Kind.END, 4), event(Kind.FINISH, 5)
GOOD = [SENT, ACKNOWLEDGED, START, END, FINISH]
AGAIN = event(Kind.START, 6, claim=2, worker=8)


def kinds(findings: Findings) -> set[str]:
    return {name for name in Findings.__struct_fields__ if getattr(findings, name)}


def test_right_history_has_no_findings() -> None:
    """A job that was sent, acknowledged, run and finished once is in order under every bound."""
    findings = check(GOOD, [row()], Bounds(late=1, disorder=0))
    assert not findings
    assert str(findings) == ""


def test_right_history_with_a_killed_worker() -> None:
    """A second attempt after the death of the first one's process is in order."""
    died = event(Kind.DIED, 5, key="", job="", claim=0)
    assert not check([SENT, ACKNOWLEDGED, START, died, AGAIN], [row(claim=2)])


@pytest.mark.parametrize(
    "wrong,events,rows,bounds",
    [
        pytest.param("lost", [SENT, ACKNOWLEDGED], [], Bounds(), id="acknowledged and gone"),
        pytest.param("lost", [SENT, ACKNOWLEDGED, START], [row(state="running")], Bounds(), id="stuck as running"),
        pytest.param("lost", [SENT, ACKNOWLEDGED], [row(state="queued")], Bounds(), id="never taken"),
        pytest.param("lost", [SENT, ACKNOWLEDGED], [row()], Bounds(), id="completed without a start"),
        pytest.param("lost", GOOD, [row(state="retrying")], Bounds(), id="finish forgotten"),
        pytest.param("doubled", [*GOOD, event(Kind.FINISH, 6, claim=2)], [row(claim=2)], Bounds(), id="two finishes"),
        pytest.param("doubled", [*GOOD, FINISH], [row()], Bounds(), id="the same finish twice"),
        pytest.param("doubled", [*GOOD, event(Kind.EFFECT, 6), event(Kind.EFFECT, 6)], [row()], Bounds(), id="effects"),
        pytest.param("doubled", [*GOOD, AGAIN], [row()], Bounds(), id="run again after its end"),
        pytest.param("doubled", [*GOOD, START], [row()], Bounds(), id="one claim, two starts"),
        pytest.param("doubled", GOOD, [row(), row()], Bounds(), id="one job in two places"),
        pytest.param("doubled", [SENT, START, END], [row(), row(job="job-b", state="dead")], Bounds(), id="two ids"),
        pytest.param("ghosts", [START, END], [row()], Bounds(), id="nobody asked"),
        pytest.param("ghosts", [], [row(state="queued")], Bounds(is_finished=False), id="stored, nobody asked"),
        pytest.param("ghosts", [SENT, event(Kind.REFUSED, 2), START], [row()], Bounds(), id="refused and run"),
        pytest.param("ghosts", [*GOOD, event(Kind.START, 9, job="job-b")], [row()], Bounds(), id="another id"),
        pytest.param("overlapping", [SENT, ACKNOWLEDGED, START, AGAIN], [row(claim=2)], Bounds(), id="no end"),
        pytest.param(
            "overlapping",
            [SENT, ACKNOWLEDGED, START, AGAIN, event(Kind.END, 9), event(Kind.END, 8, claim=2)],
            [row(claim=2)],
            Bounds(),
            id="one inside the other",
        ),
        pytest.param("late", GOOD, [row(run_at=4)], Bounds(), id="before its time"),
        pytest.param(
            "late", [SENT, ACKNOWLEDGED, event(Kind.START, 5 * SECOND)], [row()], Bounds(late=SECOND), id="too late"
        ),
    ],
)
def test_wrong_history_is_found(wrong: str, events: Sequence[Event], rows: Sequence[Row], bounds: Bounds) -> None:
    """Each kind of wrong history is found, by the name of what is wrong."""
    assert wrong in kinds(check(events, rows, bounds))


def test_enqueue_without_an_answer_may_have_stored_the_job_or_not() -> None:
    """A job whose enqueue never answered may run once, or not exist."""
    assert not check([SENT, START, END], [row()])
    assert not check([SENT], [])


def test_paused_worker_may_overlap() -> None:
    """Attempts of a process that was away for longer than its lease may overlap others; nothing else is excused."""
    paused = event(Kind.PAUSED, 4, key="", job="", claim=0)
    assert not check([SENT, ACKNOWLEDGED, START, paused, AGAIN], [row(claim=2)])
    twice = [event(Kind.FINISH, 9), event(Kind.FINISH, 8, claim=2)]
    assert kinds(check([SENT, ACKNOWLEDGED, START, paused, AGAIN, *twice], [row(claim=2)])) == {"doubled"}


def test_jobs_out_of_order_are_found() -> None:
    """A job that starts after one behind it, enqueued later, is out of order by more than the bound allows."""
    other = {"key": "b", "job": "job-b"}
    events = [
        SENT,
        ACKNOWLEDGED,
        event(Kind.SENT, 3, **other),
        event(Kind.ACKNOWLEDGED, 4, **other),
        event(Kind.START, 5, **other),
        event(Kind.START, 5 + SECOND),
    ]
    rows = [row(run_at=1), row(run_at=2, **other)]
    assert kinds(check(events, rows, Bounds(disorder=SECOND // 2))) == {"disordered"}
    assert not check(events, rows, Bounds(disorder=SECOND))


def test_job_that_was_enqueued_after_a_later_one_started_is_no_disorder() -> None:
    """A job that came when another was running already has not been passed over."""
    other = {"key": "b", "job": "job-b"}
    events = [event(Kind.SENT, 1, **other), event(Kind.ACKNOWLEDGED, 2, **other), event(Kind.START, 3, **other)]
    events += [event(Kind.SENT, 4), event(Kind.ACKNOWLEDGED, 5), event(Kind.START, 6)]
    assert not check(events, [row(run_at=1), row(run_at=2, **other)], Bounds(disorder=2))


def test_recorded_events_come_back(tmp_path: Path) -> None:
    """What several recorders appended to one file is read in the order of its times."""
    first, second = Recorder(tmp_path / "history"), Recorder(tmp_path / "history")
    first.note(Kind.SENT, "a")
    second.note(Kind.START, "a", "job", 1, 2, worker=3)
    first.note(Kind.END, "a", "job", 1, 2)
    for recorder in (first, second):
        recorder.close()
    found = read(tmp_path / "history")
    assert [(one.kind, one.key, one.job, one.attempt, one.claim) for one in found] == [
        (Kind.SENT, "a", "", 0, 0),
        (Kind.START, "a", "job", 1, 2),
        (Kind.END, "a", "job", 1, 2),
    ]
    assert found[1].worker == 3
