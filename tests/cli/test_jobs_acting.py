"""`jobs cancel`, `jobs retry` and `jobs delete`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lineshaft.cli.jobs.progress import acting
from lineshaft.transitions import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft import Lineshaft
    from tests.cli.conftest import Ran
    from tests.plugins.engines import MakeJob

EXAMPLES = [("cancel", "cancelled", State.QUEUED), ("retry", "retried", State.DEAD), ("delete", "deleted", State.DEAD)]
every_verb = pytest.mark.parametrize("verb, past, state", EXAMPLES)


def states(store: Lineshaft) -> list[State]:
    """The states of all jobs, the oldest first."""
    return [job.state for job in store.jobs.iter()][::-1]


@every_verb
def test_by_ids(call: Callable[..., Ran], address: str, make_job: MakeJob, verb: str, past: str, state: State) -> None:
    """Jobs named by their ids are acted on, and counted."""
    ids = [make_job(state).id for _ in range(2)]
    ran = call("jobs", verb, *ids, "--yes", "--store", address)
    assert (ran.code, ran.out) == (0, f"{past} 2 jobs\n")


@every_verb
def test_by_filter(
    call: Callable[..., Ran], store: Lineshaft, address: str, make_job: MakeJob, verb: str, past: str, state: State
) -> None:
    """Filters act on the jobs that they mean, and on no other."""
    make_job(state, queue="here")
    other = make_job(state, queue="there").id
    ran = call("jobs", verb, "--queue", "here", "--yes", "--json", "--store", address)
    assert ran.json == {past: 1, "failed": {}}
    assert store.jobs.get(other).state is state


@every_verb
def test_all(
    call: Callable[..., Ran], store: Lineshaft, address: str, make_job: MakeJob, verb: str, past: str, state: State
) -> None:
    """`--all` takes every job that the verb can take, and leaves the others."""
    running = make_job(State.RUNNING).id
    make_job(state)
    make_job(state)
    assert call("jobs", verb, "--all", "--yes", "--json", "--store", address).json[past] == 2 + (verb == "cancel")
    assert store.jobs.get(running).state is (State.CANCELLING if verb == "cancel" else State.RUNNING)


@every_verb
def test_without_saying_what(call: Callable[..., Ran], address: str, verb: str, past: str, state: State) -> None:
    """Neither ids nor filters is wrong use: nothing is taken to mean everything. Both at once is, too."""
    for arguments, said in (([], f"say what to {verb}: ids"), (["--all", "some-id"], "in one way")):
        ran = call("jobs", verb, *arguments, "--yes", "--store", address)
        assert ran.code == 2
        assert said in ran.complaint


@every_verb
def test_by_filter_without_a_terminal_needs_yes(
    call: Callable[..., Ran], store: Lineshaft, address: str, make_job: MakeJob, verb: str, past: str, state: State
) -> None:
    """Where nobody can be asked, acting on whatever a filter means needs `--yes`, and does nothing without it."""
    make_job(state)
    ran = call("jobs", verb, "--queue", "default", "--store", address)
    assert ran.code == 2
    assert "Add --yes to do it" in ran.complaint
    assert states(store) == [state]


def test_deleting_by_id_without_a_terminal_needs_yes(
    call: Callable[..., Ran], store: Lineshaft, address: str, make_job: MakeJob
) -> None:
    """What is deleted is gone: ids are asked about too."""
    ran = call("jobs", "delete", make_job(State.DEAD).id, "--store", address)
    assert ran.code == 2
    assert states(store) == [State.DEAD]


def test_no_job_is_no_question(call: Callable[..., Ran], address: str) -> None:
    """A filter that means no job is done at once."""
    assert call("jobs", "delete", "--queue", "none", "--store", address).out == "deleted 0 jobs\n"


def test_what_cannot_be_done_is_told_job_by_job(call: Callable[..., Ran], address: str, make_job: MakeJob) -> None:
    """One job that cannot be retried does not keep the others from it; it is told, and the exit code is 1."""
    done, dead = make_job(State.COMPLETED).id, make_job(State.DEAD).id
    ran = call("jobs", "retry", done, dead, "--store", address)
    assert (ran.code, ran.out) == (1, "retried 1 job\n")
    assert ran.err.startswith(f"lineshaft: job {done} is completed: retry takes only jobs that are dead")
    ran = call("jobs", "retry", done, "--json", "--store", address)
    assert ran.json["retried"] == 0
    assert list(ran.json["failed"]) == [done]


def test_retry_takes_other_states_when_told(
    call: Callable[..., Ran], store: Lineshaft, address: str, make_job: MakeJob
) -> None:
    """Dead jobs are meant unless `--state` says cancelled or expired."""
    make_job(State.CANCELLED)
    assert call("jobs", "retry", "--all", "--yes", "--store", address).out == "retried 0 jobs\n"
    assert call("jobs", "retry", "--state", "cancelled", "--yes", "--store", address).out == "retried 1 job\n"
    assert states(store) == [State.QUEUED]


@pytest.mark.parametrize("answer, code, left", [("n\n", 1, 1), ("y\n", 0, 0), ("\x04", 130, 1)])
def test_a_terminal_is_asked(
    terminal: Callable[..., Ran], store: Lineshaft, address: str, make_job: MakeJob, answer: str, code: int, left: int
) -> None:
    """On a terminal the question says how many jobs are meant, and only yes is a yes."""
    make_job(State.DEAD)
    ran = terminal("jobs", "delete", "--state", "dead", "--store", address, answer=answer)
    assert ran.code == code
    assert "Delete 1 job? [y/N]: " in ran.out
    assert store.jobs.count() == left


def test_a_long_act_returns_its_count(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With many jobs on a terminal, the act runs beside the bar, and its count or its error comes back."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert acting("retry", 10_000, lambda: 10_000, lambda: 0) == 10_000
    with pytest.raises(ZeroDivisionError):
        acting("retry", 10_000, lambda: 1 // 0, lambda: 0)
