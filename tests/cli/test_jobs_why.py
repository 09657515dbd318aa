"""`jobs why`."""

from __future__ import annotations

import re
from shlex import quote
from typing import TYPE_CHECKING

import pytest

from lineshaft.transitions import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lineshaft import Lineshaft
    from tests.cli.conftest import Ran
    from tests.plugins.engines import MakeJob

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def paused(store: Lineshaft, make_job: MakeJob) -> str:
    """A job that waits for its time, in a queue that is paused and that nobody serves."""
    store.queues.pause("pdf", by="ann@desk", reason="no\x1b[31m ink")
    return make_job(State.SCHEDULED, queue="pdf").id


def test_why_in_a_pipe(call: Callable[..., Ran], address: str, paused: str, store: Lineshaft) -> None:
    """Without a terminal each reason is a line of plain text, with its end and what to do; commands name the store."""
    named = f"--store {quote(store.address)}"
    ran = call("jobs", "why", paused, "--store", address)
    assert (ran.code, ran.err) == (0, "")
    head, first, until, second, cure, third, start = ran.out.splitlines()
    assert head == f"{paused}  scheduled"
    assert first.startswith("1. It is scheduled and not due before 2027-01-15T09:00:00Z (in ")
    assert until == "   until  2027-01-15T09:00:00Z"
    assert second.startswith("2. Its queue 'pdf' is paused since 20")
    assert second.endswith(" by ann@desk: no\\x1b[31m ink")
    assert cure == f"   cure   lineshaft {named} queues resume pdf"
    assert third == "3. No live worker takes jobs of its queue 'pdf': none runs"
    assert start == f"   cure   lineshaft --app MODULE:NAME {named} worker --queues pdf"


def test_why_on_a_terminal(terminal: Callable[..., Ran], address: str, paused: str) -> None:
    """On a terminal the reasons are coloured and broken between words to its width; commands stay whole."""
    ran = terminal("jobs", "why", paused, "--store", address)
    assert ran.code == 0
    assert "\x1b[33m1. It is scheduled" in ran.out
    assert "no\x1b[31m ink" not in ran.out
    lines = COLOUR.sub("", ran.out).splitlines()
    assert max(len(line) for line in lines if " cure " not in line) <= 80
    assert any(
        re.match("   cure   lineshaft --app MODULE:NAME --store .+ worker --queues pdf$", line) for line in lines
    )
    assert any(re.fullmatch(r"   until  2027-01-15T09:00:00Z \(in \d+d\)", line) for line in lines)


def test_why_as_json(call: Callable[..., Ran], address: str, paused: str, store: Lineshaft) -> None:
    """`--json` gives what `job.why().to_dict()` gives."""
    shown = call("jobs", "why", paused, "--json", "--store", address).json
    told = store.jobs.why(paused).to_dict()
    assert shown.keys() == told.keys()
    assert (shown["id"], shown["state"], shown["holds"]) == (paused, "scheduled", told["holds"])
    assert shown["holds"][1]["facts"]["paused_by"] == "ann@desk"


def test_why_of_a_dead_job(call: Callable[..., Ran], address: str, make_job: MakeJob, store: Lineshaft) -> None:
    """A dead job says how it died and how to have it tried again."""
    job_id = make_job(State.DEAD).id
    _, first, cure = call("jobs", "why", job_id, "--store", address).out.splitlines()
    assert first.endswith("reason error: attempt 1 failed with ValueError: no such page")
    assert cure == f"   cure   lineshaft --store {quote(store.address)} jobs retry {job_id}"


def test_commands_name_the_app(call: Callable[..., Ran], work: Path) -> None:
    """Commands that are shown name the app as it was named here, and leave it out where the environment names it."""
    assert (work / "work.py").exists()
    job_id = call("--app", "work:app", "jobs", "enqueue", "work.add", "--args", "1").out.strip()
    cures = call("--app", "work:app", "jobs", "why", job_id).out.splitlines()[2::2]
    assert cures == ["   cure   lineshaft --app work:app worker --queues sums"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINESHAFT_APP", "work:app")
        assert call("jobs", "why", job_id).out.splitlines()[2] == "   cure   lineshaft worker --queues sums"


def test_show_tells_the_first_reason(call: Callable[..., Ran], address: str, paused: str, make_job: MakeJob) -> None:
    """`jobs show` of an unfinished job has the most decisive reason, that of a finished one none."""
    assert "\nwhy       It is scheduled and not due before 2027" in call("jobs", "show", paused, "--store", address).out
    done = make_job(State.COMPLETED).id
    assert "\nwhy " not in call("jobs", "show", done, "--store", address).out


def test_why_of_a_job_that_is_not_there(call: Callable[..., Ran], address: str) -> None:
    """An id that names no job, or cannot, is exit code 1 and one line."""
    for job_id in ("nonsense", "0197a6f0-5c1e-7cc3-98c4-dc0c0c07398f"):
        ran = call("jobs", "why", job_id, "--store", address)
        assert ran.code == 1
        assert job_id in ran.complaint


def test_pause_says_who_and_why(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """`queues pause` notes who runs it and the reason; pausing again notes the new one, resuming forgets both."""
    call("queues", "pause", "pdf", "--reason", "no ink", "--store", address)
    pdf = store.queues.get("pdf")
    assert pdf.pause_reason == "no ink"
    assert re.fullmatch(r".+@.+", pdf.paused_by or "")
    assert call("queues", "list", "--store", address).out.splitlines()[1].endswith(f"  {pdf.paused_by}: no ink")
    call("queues", "pause", "pdf", "--store", address)
    assert store.queues.get("pdf").pause_reason is None
    [shown] = call("queues", "resume", "pdf", "--json", "--store", address).json
    assert (shown["paused"], shown["paused_by"], shown["pause_reason"]) == (False, None, None)


def test_a_reason_that_cannot_be_kept(call: Callable[..., Ran], address: str) -> None:
    """A reason that is too long is wrong use."""
    ran = call("queues", "pause", "pdf", "--reason", "x" * 1_001, "--store", address)
    assert ran.code == 2
    assert "of a pause must be a text of up to 1,000 characters" in ran.complaint
