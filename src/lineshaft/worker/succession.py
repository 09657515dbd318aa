"""Who leaves a gate is followed by the first of its line, in the same transaction and in the same worker.

After a look at the gate has found room for whoever follows, each that leaves for good may be followed by one without
another look, as long as the limit is what it was and the line goes on: there are as many inside as before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from lineshaft.engines.base import Tx
from lineshaft.gates import Gate, Pass
from lineshaft.store.claim import Claimed
from lineshaft.store.finish import write_transitions
from lineshaft.store.gates import remove_slots
from lineshaft.store.line import claim_heads
from lineshaft.store.rules import read_rules
from lineshaft.transitions import PutBack, Stage, Transition
from lineshaft.worker.admitted import NO_HEADS, Heads, Steady
from lineshaft.worker.departure import Departure

Asked = tuple[dict[str, tuple[Pass, ...]], dict[str, Exception]]
"""By job, the gates that it has to pass; and why it cannot be told."""

_MOST: Final = 100_000
"""Of more gates than these a worker does not remember that their lines go on."""


class Successors(NamedTuple):
    """What became of departures without a look at their gates."""

    heads: Heads
    departures: Sequence[Departure]
    """Those that are left."""


class Succession:
    """Claims the heads of lines; asked and told by the thread that claims."""

    def __init__(self, worker: int, ask: Callable[[Iterable[Claimed], int], Asked]) -> None:
        self._worker, self._ask = worker, ask
        self._steady: dict[str, Steady] = {}

    def note(self, found: Mapping[str, Steady]) -> None:
        """Remember what was found, once it is committed: after a rollback there are others inside, too."""
        if len(self._steady) > _MOST:
            self._steady.clear()
        self._steady.update(found)

    def follow(self, tx: Tx, departures: Sequence[Departure], room: Mapping[str, int], now: int) -> Successors:
        """Claim the heads of lines that go on, of each gate that one job alone has left, as far as there is room.

        No gate has to be locked: who looks at one finds who has left inside it or who has followed, never both.
        """
        alone = self._leaving_alone(departures)
        if not alone:
            return Successors(NO_HEADS, departures)
        self._forget_changed(tx, alone)
        wanted: dict[str, list[str]] = {}
        for key, one in alone.items():
            if key in self._steady and one.queue is not None:
                wanted.setdefault(one.queue, []).append(key)
        found: list[Claimed] = []
        for queue, keys in wanted.items():
            found += self._claim(tx, keys[: room.get(queue, 0)], queue, now)
        followed = {head.gate for head in found}
        gone = [one.held for key, one in alone.items() if key in followed and one.has_slots]
        if gone:
            remove_slots(tx, gone)
        rest = [one for one in departures if not (_is_simple(one) and one.freed[0].key in followed)]
        return Successors(self._let(tx, found, now, self._has_same_limit), rest)

    def hand_over(
        self,
        tx: Tx,
        releases: dict[str, int],
        gates: Mapping[str, Gate],
        departures: Iterable[Departure],
        room: Mapping[str, int],
        now: int,
    ) -> tuple[Heads, dict[str, Steady]]:
        """Claim heads of lines in the place of jobs of ours that have just left, instead of letting them out.

        Only from lines that those jobs alone have stood in: what else a head has to pass is not locked here. Takes them
        off what the `gates`, as they were read, release; returns what to remember of these too.
        """
        wanted: dict[str, dict[str, Pass]] = {}
        for one in departures:
            queue, freed = one.queue, one.freed
            if queue is not None and len(freed) == 1 and freed[0].kind == "concurrency":
                key = freed[0].key
                if key in releases and room.get(queue, 0) > 0:
                    wanted.setdefault(queue, {})[key] = freed[0]
        heads, steady = Heads([], {}), dict[str, Steady]()
        for queue, passes in wanted.items():
            found = claim_heads(tx, list(passes), queue=queue, limit=room[queue], worker=self._worker, now=now)
            for head in found:
                assert head.gate is not None, "it stood in a line"
                releases[head.gate] -= 1
                gate = gates[head.gate]
                steady[head.gate] = Steady(gate.declared, gate.overrides, passes[head.gate].terms, now)
            more = self._let(tx, found, now, lambda _: True)
            heads.jobs.extend(more.jobs)
            heads.passes.update(more.passes)
        return heads, steady

    def _leaving_alone(self, departures: Sequence[Departure]) -> dict[str, Departure]:
        """Return by gate the only one that leaves it, of gates whose lines go on."""
        if not self._steady:
            return {}
        count = Counter(one.key for departure in departures for one in departure.freed)
        simple = ((one.freed[0].key, one) for one in departures if _is_simple(one))
        return {key: one for key, one in simple if key in self._steady and count[key] == 1}

    def _forget_changed(self, tx: Tx, leaving: Mapping[str, Departure]) -> None:
        rules = read_rules(tx, {one.freed[0].rule for one in leaving.values()})
        for key, one in leaving.items():
            rule, steady = rules.get(one.freed[0].rule), self._steady[key]
            said = (None, None, 0) if rule is None else (rule.declared, rule.overrides, rule.updated_at)
            if (steady.declared, steady.overrides) != said[:2] or said[2] >= steady.since:
                del self._steady[key]

    def _claim(self, tx: Tx, keys: Sequence[str], queue: str, now: int) -> list[Claimed]:
        if not keys:
            return []
        found = claim_heads(tx, keys, queue=queue, limit=len(keys), worker=self._worker, now=now)
        for key in set(keys) - {head.gate for head in found}:
            del self._steady[key]  # its line has come to its end, or goes on in another queue
        return found

    def _has_same_limit(self, one: Pass) -> bool:
        steady = self._steady[one.key]
        return steady.declared is not None or steady.terms == one.terms

    def _let(self, tx: Tx, found: Sequence[Claimed], now: int, is_known: Callable[[Pass], bool]) -> Heads:
        """Let those of claimed heads start that have no other gate to pass; the others are as if they were let out."""
        if not found:
            return NO_HEADS
        passes, refused = self._ask(found, now)
        heads = Heads([], {})
        back: list[Transition] = []
        for one in found:
            job_id = one.held.id
            mine = passes.get(job_id, ())
            is_alone = len(mine) == 1 and (mine[0].key, mine[0].kind) == (one.gate, "concurrency")
            if job_id in refused or not is_alone or not is_known(mine[0]):
                back.append(PutBack(one.held, Stage.READY, None, gives_attempt_back=True))
                continue
            heads.passes[job_id] = mine
            heads.jobs.append(one)
        if back:
            write_transitions(tx, back, worker=self._worker, now=now, keep=lambda _: now)
        return heads


def _is_simple(one: Departure) -> bool:
    """Tell whether one leaves one gate now and for good, which has places and learns nothing from it."""
    return one.is_now and one.leaves and len(one.freed) == 1 and one.freed[0].kind == "concurrency" and not one.samples
