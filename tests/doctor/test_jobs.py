"""The doctor finds jobs that cannot run as they are, and queues that somebody forgot."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from lineshaft.cli import main
from lineshaft.clock import DAY, HOUR, MINUTE
from lineshaft.doctor.long_pause import LongPause
from lineshaft.doctor.poison import PoisonJobs
from lineshaft.store.control import pause_queue

if TYPE_CHECKING:
    from tests.doctor.conftest import Ward


def test_job_that_died_of_its_crashes(ward: Ward, capsys: pytest.CaptureFixture[str]) -> None:
    """A job that ended its process as often as it may is found by its task; its command lists it."""
    job = ward.enqueue("work.crash", "default", max_attempts=1)
    ward.worker("default:1")
    found = ward.comes(PoisonJobs())
    assert (found.facts["kind"], found.facts["task"], found.facts["jobs"]) == ("dead", "work.crash", 1)
    assert (
        found.symptom
        == "1 job of task 'work.crash' ended each process that ran it, and died of that within the last 24h"
    )
    capsys.readouterr()
    ward.cure(found)
    assert job in capsys.readouterr().out
    assert ward.found(PoisonJobs(lately=0)) == []
    assert main([*shlex.split(ward.patient.program)[1:], "jobs", "delete", job, "--yes"]) == 0
    assert ward.found(PoisonJobs()) == []


def test_job_that_will_crash_again(ward: Ward, capsys: pytest.CaptureFixture[str]) -> None:
    """A job that was lost alone and waits for another try is found; one that only failed is not."""
    job = ward.enqueue("work.crash_again", "default")
    ward.enqueue("work.fail", "default")
    ward.worker("default:2")
    found = ward.comes(PoisonJobs())
    assert (found.facts["kind"], found.facts["task"], found.facts["jobs"]) == ("waiting", "work.crash_again", 1)
    capsys.readouterr()
    ward.cure(found)
    assert job in capsys.readouterr().out


def test_queue_paused_for_days(ward: Ward) -> None:
    """A queue that was paused longer than a day ago and holds jobs is found, and resumed by the command."""
    now = ward.patient.now()
    for queue, hours in (("forgotten", 25), ("fresh", 1), ("empty", 99)):
        ward.engine.write(lambda tx, queue=queue, hours=hours: pause_queue(tx, queue, now=now - hours * HOUR))
    for queue in ("forgotten", "fresh"):
        ward.enqueue(queue=queue)
    [found] = ward.found(LongPause())
    assert found.symptom == "queue 'forgotten' has been paused for 1d1h; 1 job in it due"
    assert ward.found(LongPause(longest=26 * HOUR)) == []
    ward.engine.write(lambda tx: pause_queue(tx, "forgotten", now=now - 2 * DAY, by="ann", reason="PDFs are empty"))
    [found] = ward.found(LongPause())
    assert found.symptom == "queue 'forgotten' has been paused by 'ann' for 2d (PDFs are empty); 1 job in it due"
    assert {one.facts["queue"] for one in ward.found(LongPause(longest=MINUTE))} == {"forgotten", "fresh"}
    ward.cure(found)
    assert ward.found(LongPause()) == []
