"""Enqueue's part of uniqueness: nothing is paid for it when jobs are claimed or finished."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from lineshaft.feature import Feature, Incoming, Write
from lineshaft.features.unique import keys, rules
from lineshaft.features.unique.rules import Action, Answer, Holder

if TYPE_CHECKING:
    from lineshaft.engines.base import Tx
    from lineshaft.options import Options

Groups = Mapping[str, Sequence[Incoming]]
Answers = Mapping[str, Sequence[Answer]]


class UniqueFeature(Feature):
    """Stores one job a key: what `Unique` in the options of a job asks for."""

    def wants(self, options: Options) -> bool:
        """Tell whether the options have a `Unique`."""
        return options.unique is not None

    def before_enqueue(self, tx: Tx, jobs: Sequence[Incoming], now: int) -> None:
        """Answer jobs whose key is held with the id of its holder, or raise `UniqueConflictError`."""
        groups = _by_key(jobs)
        if not groups:
            return
        are_free = keys.take_keys(tx, [_key_row(key, group[0]) for key, group in groups.items()])
        held = {} if are_free else keys.find_holders(tx, groups)
        answers = _settle(tx, groups, held, now)
        _write(tx, answers, held)

    def periodic(self, write: Write, now: int) -> None:
        """Delete the keys that no job holds any more, a part of them in each transaction."""
        after: str | None = ""
        while after is not None:
            after = write(partial(keys.prune_keys, now=now, after=after)).after


def _by_key(jobs: Sequence[Incoming]) -> Groups:
    groups: defaultdict[str, list[Incoming]] = defaultdict(list)
    for job in jobs:
        if job.options.unique is not None and job.existing_id is None:
            groups[rules.digest(job)].append(job)
    return groups


def _key_row(key: str, job: Incoming) -> keys.KeyRow:
    return {"key": key, "job": job.row["id"], "until": rules.held_until(job)}


def _settle(tx: Tx, groups: Groups, held: Mapping[str, str], now: int) -> Answers:
    """Decide by what the jobs are now; those to be replaced are locked first and then looked at again."""
    locked: set[str] = set()
    while True:
        found = _look_up(tx, groups, held)
        answers = {
            key: list(rules.settle(group, found.get(held.get(key, "")), found.keys(), now))
            for key, group in groups.items()
        }
        to_lock = _replacements(answers).keys() - locked
        if not to_lock:
            return answers
        locked |= keys.lock_waiting(tx, to_lock)


def _look_up(tx: Tx, groups: Groups, held: Mapping[str, str]) -> dict[str, Holder]:
    if not held:
        return {}
    newcomers = {job.row["id"] for group in groups.values() for job in group}
    return keys.look_up_jobs(tx, newcomers.union(held.values()))


def _write(tx: Tx, answers: Answers, held: Mapping[str, str]) -> None:
    replacements = _replacements(answers)
    if replacements:
        keys.replace_jobs(tx, replacements)
    moved = list(_moved_keys(answers, held))
    if moved:
        keys.move_keys(tx, moved)
    for group in answers.values():
        _answer(group)


def _replacements(answers: Answers) -> dict[str, dict[str, Any]]:
    """Return what stored jobs are given, by their ids; the last newcomer of a key wins."""
    return {
        answer.holder.id: {**_replaced(answer.job, answer.holder), **rules.place_of(answer.job)}
        for group in answers.values()
        for answer in group
        if answer.action is Action.REPLACE and answer.holder and answer.holder.is_stored
    }


def _moved_keys(answers: Answers, held: Mapping[str, str]) -> Iterator[keys.KeyRow]:
    for key, group in answers.items():
        holder = group[-1].holder
        if holder and holder.id != held.get(key, group[0].job.row["id"]):
            yield _key_row(key, next(one.job for one in group if one.job.row["id"] == holder.id))


def _answer(group: Sequence[Answer]) -> None:
    new = {one.job.row["id"]: one.job for one in group if one.action is Action.STORE}
    for job, action, holder in group:
        if holder is None:
            continue
        if action is Action.STORE:
            _place(job, holder)
            continue
        job.existing_id = holder.id
        if action is Action.REPLACE and not holder.is_stored:
            _take_over(new[holder.id], job, holder)


def _place(job: Incoming, holder: Holder) -> None:
    if holder.id == job.row["id"] and not holder.is_stored:
        job.row.update(run_at=holder.run_at, stage=holder.stage)


def _take_over(new: Incoming, job: Incoming, holder: Holder) -> None:
    new.row.update(_replaced(job, holder))
    new.placed, new.fair_text = job.placed, job.fair_text


def _replaced(job: Incoming, holder: Holder) -> dict[str, Any]:
    own = {name: job.row[name] for name in rules.REPLACED}
    return {**own, "run_at": holder.run_at, "stage": holder.stage}
