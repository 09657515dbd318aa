"""`app.jobs`: finding jobs and acting on them, one by one or all that a filter means."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from lineshaft.app.crossing import in_store_thread, twin
from lineshaft.clock import Duration, to_datetime, to_instant, to_micros
from lineshaft.config import Retention
from lineshaft.counts import is_count
from lineshaft.errors import ConfigError, InvalidTransition
from lineshaft.explaining import Explanation
from lineshaft.ids import checked_id
from lineshaft.job import Job, JobRow, no_such_job
from lineshaft.store import control, inspect
from lineshaft.store.enqueue import stored_ids
from lineshaft.transitions import UNFINISHED, State, check_move, state_of

if TYPE_CHECKING:
    from lineshaft.app.store import Store
    from lineshaft.app.waiter import Waiter
    from lineshaft.app.why import Explainer
    from lineshaft.events import JobEvent
    from lineshaft.feature import Feature

StateName = State | str
States = StateName | Sequence[StateName]

_PAGE: Final = 100
_CHUNK: Final = 1_000
_TRIES: Final = 5


class Page(list[Job[Any]]):
    """A page of jobs, the newest first; `.next` is the cursor of the next one, None at the end."""

    def __init__(self, jobs: Sequence[Job[Any]], next_cursor: str | None) -> None:
        super().__init__(jobs)
        self.next = next_cursor


class Jobs:
    """The jobs of a store.

    The filters, all of them optional: `state` (one or several), `queue`, `name`, `tag`, `tenant`, `since` (aware
    datetime of creation, or a duration back from now), `search` (text in name, arguments or errors).
    """

    def __init__(
        self,
        store: Store,
        waiter: Waiter,
        retention: Retention,
        explainer: Explainer,
        load_result: Callable[[str, str], Any],
        features: Sequence[Feature] = (),
    ) -> None:
        self._store, self._waiter, self._retention, self._explainer = store, waiter, retention, explainer
        self.load_result, self._features = load_result, features

    def get(self, job_id: str) -> Job[Any]:
        """Return a job; raises `JobNotFound` when there is none of this id."""
        return Job(self, self.fetch(checked_id(job_id)))

    def list(self, /, *, limit: int = _PAGE, cursor: str | None = None, **filters: Any) -> Page:
        """Return up to `limit` jobs, the newest first; `cursor` is `.next` of the page before."""
        if not is_count(limit, _CHUNK):
            msg = f"limit={limit!r} must be a whole number from 1 to {_CHUNK}; use iter() for all of them"
            raise ConfigError(msg)
        wanted = self._filter(filters)
        after = checked_id(cursor) if cursor is not None else None
        rows = self._store.read(lambda tx: inspect.list_jobs(tx, wanted, limit=limit + 1, cursor=after))
        page: Sequence[Job[Any]] = [Job(self, row) for row in rows[:limit]]
        return Page(page, page[-1].id if len(rows) > limit else None)

    def iter(self, **filters: Any) -> Iterator[Job[Any]]:
        """Iterate over all jobs that the filter means, the newest first, a page at a time."""
        cursor: str | None = None
        while True:
            page: Page = self.list(limit=_CHUNK, cursor=cursor, **filters)
            yield from page
            if page.next is None:
                return
            cursor = page.next

    def count(self, /, **filters: Any) -> int:
        """Return how many jobs the filter means."""
        wanted = self._filter(filters)
        return self._store.read(lambda tx: inspect.count_jobs(tx, wanted))

    def cancel(self, /, *, all: bool = False, **filters: Any) -> int:  # noqa: A002 - named by the public contract
        """Cancel every unfinished job that the filter means and return how many were cancelled or asked to stop.

        Raises `TypeError` without a filter, save with `all=True`.
        """
        return self._each("cancel", UNFINISHED, filters, lambda rows: self._cancel_ids(_ids(rows)), all_of_them=all)

    def retry(self, /, *, all: bool = False, **filters: Any) -> int:  # noqa: A002 - named by the public contract
        """Have every dead job that the filter means tried again (cancelled and expired ones where `state` says so)."""
        allowed = frozenset({State.DEAD, State.CANCELLED, State.EXPIRED})
        if filters.get("state") is None:
            allowed = frozenset({State.DEAD})
        return self._each("retry", allowed, filters, lambda rows: self._revive_ids(_ids(rows)), all_of_them=all)

    def delete(self, /, *, all: bool = False, **filters: Any) -> int:  # noqa: A002 - named by the public contract
        """Delete every job that the filter means and that is not running, and return how many."""
        allowed = frozenset(State) - {State.RUNNING, State.CANCELLING}
        return self._each("delete", allowed, filters, self._delete_rows, all_of_them=all)

    def why(self, job_id: str) -> Explanation:
        """Return what holds a job, the most decisive reason first, or how it ended; raises `JobNotFound`."""
        found = self._explainer.explain(checked_id(job_id))
        if found is None:
            raise no_such_job(job_id)
        return found

    aget = twin(get)
    alist = twin(list)
    acount = twin(count)
    acancel = twin(cancel)
    aretry = twin(retry)
    adelete = twin(delete)
    awhy = twin(why)

    # --- what a Job's calls go through -----------------------------------------------------------------------------

    def fetch(self, job_id: str) -> JobRow:
        """Return a job's row; raises `JobNotFound`."""
        row = self._store.read(lambda tx: inspect.get_job(tx, job_id))
        if row is None:
            raise no_such_job(job_id)
        return row

    def await_final(self, job: Job[Any], timeout: Duration | None, call: str) -> None:
        """Wait until a job is final, and renew it; `call` is what the user called. Raises `JobNotFound`."""
        self._waiter.wait(job, timeout, call)

    async def aawait_final(self, job: Job[Any], timeout: Duration | None, call: str) -> None:
        """As `await_final`."""
        await self._waiter.await_(job, timeout, call)

    def events(self, job: Job[Any]) -> Generator[JobEvent]:
        """Follow a job until it is final."""
        return self._waiter.events(job)

    def aevents(self, job: Job[Any]) -> AsyncGenerator[JobEvent]:
        """As `events`."""
        return self._waiter.aevents(job)

    async def in_thread(self, call: Any, /, *args: Any) -> Any:
        """Run a blocking call in a store thread."""
        return await in_store_thread(call, *args)

    def cancel_one(self, job_id: str) -> None:
        """Cancel a job; one that is cancelled already stays so."""
        self._change(job_id, "cancel", lambda: bool(self._cancel_ids([job_id])), {State.CANCELLED, State.CANCELLING})

    def revive(self, job_id: str) -> None:
        """Have a job tried again."""
        self._change(job_id, "revive", lambda: bool(self._revive_ids([job_id])))

    def delete_one(self, job_id: str) -> None:
        """Delete a job."""
        self._change(job_id, "delete", lambda: bool(self._delete_rows(self._found(job_id))))

    def reschedule(self, job_id: str, run_at: datetime | None, delay: Duration | None) -> None:
        """Give a waiting job another time."""
        if (run_at is None) == (delay is None):
            msg = "reschedule takes run_at or delay, one of them"
            raise TypeError(msg)
        now = self._store.engine.clock.now()
        instant = to_instant(run_at, "run_at") if run_at is not None else now + to_micros(delay or 0, "delay")

        def move() -> bool:
            return self._store.write(lambda tx, _: control.reschedule_job(tx, job_id, run_at=instant, now=now))

        self._change(job_id, "reschedule", move)

    def logs(self, job_id: str) -> list[dict[str, Any]]:  # type: ignore[valid-type]
        """Return what a job logged, in order."""
        self.fetch(job_id)
        found: list[dict[str, Any]] = []
        for attempt, lines in self._store.read(lambda tx: inspect.get_logs(tx, job_id)):
            for line in lines.splitlines():
                entry = msgspec.json.decode(line)
                found.append({"attempt": attempt, **entry, "at": to_datetime(entry["at"])})
        return found

    def _change(
        self, job_id: str, move: str, change: Callable[[], bool], done: Sequence[State] | set[State] = ()
    ) -> None:
        """Try a change until it took effect, or the job's state forbids it; a worker may move the job in between."""
        for _ in range(_TRIES):
            if change():
                return
            row = self.fetch(job_id)
            state = state_of(row.stage, is_held=row.worker is not None, is_cancel_requested=bool(row.cancel_requested))
            if state in done:
                return
            is_chased = move == "cancel" and state is State.RUNNING  # claimed between our two looks
            if not is_chased:
                check_move(move, job_id, state)
        msg = f"job {job_id} moves too fast to {move} it; try again"
        raise InvalidTransition(msg)

    def _cancel_ids(self, ids: Sequence[str]) -> int:
        now = self._store.engine.clock.now()
        expires_at = now + self._retention.cancelled
        cancelled, asked = self._store.write(
            lambda tx, _: control.cancel_jobs(tx, ids, now=now, expires_at=expires_at, features=self._features)
        )
        return len(cancelled) + len(asked)

    def _revive_ids(self, ids: Sequence[str]) -> int:
        now = self._store.engine.clock.now()
        return self._store.write(lambda tx, _: control.revive_jobs(tx, ids, now=now))

    def _found(self, job_id: str) -> Sequence[JobRow]:
        row = self._store.read(lambda tx: inspect.get_job(tx, job_id))
        return [] if row is None else [row]

    def _delete_rows(self, rows: Sequence[JobRow]) -> int:
        deleted = self._store.write(lambda tx, _: control.delete_jobs(tx, _ids(rows)))
        payloads = [text for row in rows for text in (row.args, row.result) if text]
        self._store.depot.discard(payloads, lambda ids: self._store.read(lambda tx: stored_ids(tx, ids)))
        return deleted

    def _each(
        self,
        verb: str,
        allowed: frozenset[State],
        filters: dict[str, Any],
        act: Callable[[Sequence[JobRow]], int],
        *,
        all_of_them: bool,
    ) -> int:
        if not all_of_them and all_none(filters):
            msg = f"jobs.{verb}() without a filter would take every job; say all=True if that is meant"
            raise TypeError(msg)
        wanted = self._filter(filters)
        states = [one for one in (wanted.states or tuple(State)) if one in allowed]
        count, cursor = 0, None
        while states:
            chosen = inspect.Filter(**{**_fields(wanted), "states": tuple(states)})
            page = self._store.read(partial(inspect.list_jobs, wanted=chosen, limit=_CHUNK, cursor=cursor))
            if not page:
                break
            count += act(page)
            cursor = page[-1].id
        return count

    def _filter(self, given: dict[str, Any]) -> inspect.Filter:
        unknown = sorted(given.keys() - _FILTERS)
        if unknown:
            msg = f"unexpected filter {unknown[0]!r}; filters are {', '.join(sorted(_FILTERS))}"
            raise TypeError(msg)
        return inspect.Filter(
            states=_states(given.get("state")),
            since=self._since(given.get("since")),
            **{key: _text(key, given.get(key)) for key in ("queue", "name", "tag", "tenant", "search")},
        )

    def _since(self, since: datetime | Duration | None) -> int | None:
        if since is None:
            return None
        if isinstance(since, datetime):
            return to_instant(since, "since")
        return self._store.engine.clock.now() - to_micros(since, "since")


def _ids(rows: Sequence[JobRow]) -> list[str]:
    return [row.id for row in rows]


_FILTERS: Final = frozenset({"state", "queue", "name", "tag", "tenant", "since", "search"})


def all_none(filters: dict[str, Any]) -> bool:
    """Tell whether no filter says anything."""
    return all(value is None for value in filters.values())


def _states(state: States | None) -> tuple[State, ...] | None:
    if state is None:
        return None
    given = [state] if isinstance(state, str) else state
    try:
        return tuple(State(one) for one in given)
    except ValueError:
        msg = f"state={state!r} is not a state; states are {', '.join(State)}"
        raise ConfigError(msg) from None


def _text(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        msg = f"{name}={value!r} must be a text"
        raise ConfigError(msg)
    return value


def _fields(wanted: inspect.Filter) -> dict[str, Any]:
    return {name: getattr(wanted, name) for name in inspect.Filter.__dataclass_fields__}
