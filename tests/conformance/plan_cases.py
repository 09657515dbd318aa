"""Every statement that the store runs while jobs go through it, with what it is given; and the others, with the reason.

A statement that is in neither table fails `test_plans.py`: whoever adds one says here what it may cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lineshaft.ids import new_id
from lineshaft.store import (
    claim,
    control,
    course,
    depth,
    enqueue,
    explain,
    finish,
    gates,
    grants,
    inspect,
    line,
    rates,
    rules,
    upkeep,
)
from lineshaft.store.queries import Statements
from tests.plugins.engines import KEPT_UNTIL, NOW, WORKER, new_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lineshaft.engines.base import Params, Statement
    from lineshaft.transitions import Held

BATCH = 100
UNIQUE = Statements("unique", "lineshaft.features.unique")
LIMITS = Statements("limits", "lineshaft.features.limits")
BY_NAME: dict[str, Statement] = (
    {
        name: statement
        for module in (
            claim,
            enqueue,
            depth,
            finish,
            upkeep,
            control,
            inspect,
            rates,
            explain,
            gates,
            line,
            grants,
            rules,
            course,
        )
        for name, statement in module.SQL.by_name.items()
    }
    | UNIQUE.by_name
    | LIMITS.by_name
)
RARE = {
    "plan_for_values": "before a count; it reads nothing",
    "set_paused": "somebody pauses a queue; it writes one row",
    "lock_queue": "somebody limits a queue; it locks one row",
    "set_limits": "somebody limits a queue; it writes one row",
    "ensure_history": "once an hour; it makes partitions",
    "lock_flow": "somebody changes what limits a queue; it locks one row",
    "set_flow": "somebody changes what limits a queue; it writes one row",
    "revoke_queue": "somebody limits a queue more strictly; it deletes a row a worker",
    "revoke_worker": "once a worker that is gone; reads a row a gated queue and worker",
    "declare_worker": "once a worker; it writes a row a gated queue",
    "list_rules": "somebody lists limits; it reads a row a limit",
    "lock_rule": "somebody changes a limit; it locks one row",
    "put_rules": "once a deploy; it writes a row a limit",
    "override_rule": "somebody changes a limit; it writes one row",
    "wake_gates": "somebody changes a limit; it reads the gates that have a line",
    "register_worker": "once a worker",
    "set_draining": "once a worker",
    "set_blocked": "a job blocks an event loop, or does no longer; it writes one row",
    "drain_workers": "somebody drains workers; it writes their rows",
    "remove_worker": "once a worker that died",
    "last_of_chunk": "once an hour, a chunk of keys at a time",
    "lock_unheld": "once an hour, a chunk of keys at a time",
    "delete_unheld": "once an hour, a chunk of keys at a time",
    "last_gate_of_chunk": "once an hour, a chunk of gates at a time",
    "hasten_gates": "once a worker, and after a clock was set back; reads and writes the gates that have a line",
    "delete_idle_gates": "once an hour, a chunk of gates at a time",
    "delete_void_slots": "once an hour; reads the slots, of which there are about as many as jobs that run",
}
WIDE = {
    "count_live": "counts what a filter means",
    "count_unsuccessful": "counts what a filter means",
    "count_completed": "counts what a filter means",
    "count_by_queue": "counts every unfinished job",
    "running_by_worker": "reads every unfinished job: a claim writes to no index that could tell",
    "unregistered_holders": "likewise; once an hour",
    "held_by": "likewise; for a worker that died, and after the store was away",
    "count_waiting": "reads scheduled jobs of other queues too: only where a queue has a depth limit",
    "count_waiting_of_tenant": "likewise, and jobs of other tenants",
    "lock_oldest": "sorts what is ready in a full queue that drops jobs",
    "purge_queue": "deletes every waiting job of a queue",
}
LONG_LINE = "k=long"
"""The gate in whose line most parked jobs stand."""
GATES = ("k=few", LONG_LINE, *(f"k={number}" for number in range(98)))
"""Two with jobs in their lines and inside, and many of which nothing is known."""
OLDEST = "00000000-0000-7000-8000-000000000000"
"""A cursor before which nothing was made: what such a page reads, it reads in vain."""
FEW_SORTED_ON_SQLITE = {"release_line": "heads that were found one by one, to take the first of several queues"}
"""Their steps are bounded all the same."""
WIDE_ON_SQLITE = {"list_completed": "passes over the unfinished jobs that are newer: no index tells completed ones"}


@dataclass(frozen=True)
class Known:
    """Ids of a store's jobs, made-up ones where it has too few."""

    held: list[Held]
    waiting: list[str]
    finished: list[str]


@dataclass(frozen=True)
class Case:
    """A hot statement and what it is given."""

    statement: Statement
    params: Mapping[str, Any]
    rows: Sequence[Params] | None = None


def hot_cases(known: Known) -> dict[str, Case]:
    """Return every hot statement as it is run with a batch of 100."""
    return {
        **_enqueue(known), **_claim(known), **_finish(known), **_beat(known), **_ask(known), **_look(known),
        **_why(known), **_unique(known), **_gates(known), **_line(known), **_limits(known), **_course(),
    }  # fmt: skip


def _case(name: str, params: Mapping[str, Any] | None = None, rows: Sequence[Params] | None = None) -> Case:
    return Case(BY_NAME[name], params or {}, rows)


def _enqueue(known: Known) -> dict[str, Case]:
    rows = sorted((new_row() for _ in range(BATCH)), key=lambda row: row["id"])
    again = [{**row, "id": job_id} for row, job_id in zip(rows, known.finished, strict=True)]
    own = [{"id": row["id"], "args": row["args"]} for row in rows]
    place = {"stage": 5, "gate": LONG_LINE, "turn": NOW, "sequence": "s", "fair": "a"}
    return {
        "insert_job": _case("insert_job", new_row()),
        "insert_jobs": _case("insert_jobs", {"is_checked": False}, rows),
        "insert_jobs again": _case("insert_jobs", {"is_checked": True}, again),
        "insert_like_jobs": _case("insert_like_jobs", new_row(), own),
        "insert_placed_jobs": _case("insert_placed_jobs", {"is_checked": False}, [{**row, **place} for row in rows]),
        "insert_placed_like_jobs": _case("insert_placed_like_jobs", new_row(), [{**one, **place} for one in own]),
        "fair_queues": _case("fair_queues", {"queues": ["default"]}),
        "drop_finished_resends": _case("drop_finished_resends", {"ids": known.finished}),
        "existing_ids": _case("existing_ids", {"ids": known.finished}),
        "lock_limited_queues": _case("lock_limited_queues", {"queues": ["default"]}),
    }


def _claim(known: Known) -> dict[str, Case]:
    taken = {"queue": "default", "limit": BATCH, "worker": WORKER, "now": NOW, "is_granted": True}
    place = {"rank": 0, "turn": NOW, "id": known.waiting[0]}
    granted = {"queue": "default", "limit": BATCH, "worker": WORKER, "now": NOW, "places": 1}
    aged = {"rank": 0, "before": NOW + 1}
    refused = {**taken, "is_granted": False}
    return {
        "claim_jobs": _case("claim_jobs", taken),
        "claim_granted": _case("claim_granted", granted),
        "claim_granted without a grant": _case("claim_granted", {**granted, "places": 1_000}),
        "claim_jobs of an empty queue": _case("claim_jobs", {**taken, "queue": "empty"}),
        "claim_jobs_from": _case("claim_jobs_from", {**taken, **place}),
        "claim_aged": _case("claim_aged", {**taken, **aged}),
        # The queue has a limit: to who has no grant it is as if it was paused.
        "claim_jobs of a closed queue": _case("claim_jobs", refused),
        "claim_jobs_from of a closed queue": _case("claim_jobs_from", {**refused, **place}),
        "claim_aged of a closed queue": _case("claim_aged", {**refused, **aged}),
        "waiting_heads": _case("waiting_heads", {"queue": "default"}),
        "waiting_heads of an empty queue": _case("waiting_heads", {"queue": "empty"}),
        "first_before": _case("first_before", {**place, "queue": "default", "rank": 1}),
        "place_of": _case("place_of", {"id": known.waiting[0]}),
        "promote_due": _case("promote_due", {"now": NOW, "limit": BATCH}),
        "next_due": _case("next_due"),
        "expire_overdue": _case("expire_overdue", {"now": NOW, "expires_at": KEPT_UNTIL, "limit": BATCH}),
    }


def _finish(known: Known) -> dict[str, Case]:
    fences = [{"id": one.id, "key": one.key, "claim": one.claim} for one in known.held]
    by, ids = {"worker": WORKER, "now": NOW}, [one.id for one in known.held]
    done = {"result": "1", "expires_at": KEPT_UNTIL}
    closed = {"stage": 11, "reason": "error", "error": "{}", "losses": 0, "expires_at": KEPT_UNTIL}
    back = {
        "stage": 2, "run_at": NOW, "attempts_back": 0, "losses": 0, "is_isolated": False, "unknown_since": None,
        "error": "{}",
    }  # fmt: skip
    logged = {"attempt": 1, "lines": "{}"}
    return {
        "complete_jobs": _case("complete_jobs", by, [fence | done for fence in fences]),
        "close_jobs": _case("close_jobs", by, [fence | closed for fence in fences]),
        "put_back_jobs": _case("put_back_jobs", by, [fence | back for fence in fences]),
        "finished_by": _case("finished_by", {"ids": ids, "worker": WORKER}),
        "put_back_among": _case("put_back_among", {"ids": ids, "worker": WORKER}),
        "save_progress": _case("save_progress", by, [fence | {"progress": "[0.5]"} for fence in fences]),
        "save_logs": _case("save_logs", by, [fence | logged for fence in fences]),
    }


def _beat(known: Known) -> dict[str, Case]:
    silent = {"worker": WORKER, "now": NOW, "silence": 3_000_000, "lease": 60_000_000}
    return {
        "beat": _case("beat", {"worker": WORKER, "server": "", "now": NOW, "load": None, "oldest": 0}),
        "set_idle": _case("set_idle", {"worker": WORKER, "is_idle": True}),
        "read_gated": _case("read_gated", {"queues": ["default"], "worker": WORKER}),
        "write_grants": _case("write_grants", {"worker": WORKER}, [{"queue": "default", "places": 5}]),
        "trim_grant": _case("trim_grant", {"queue": "default", "worker": WORKER, "places": 1}),
        "own_places": _case("own_places", {"queue": "default", "worker": WORKER}),
        "list_grants": _case("list_grants", {"queue": "default"}),
        "see_flow": _case("see_flow", {"queue": "default"}),
        "suspects": _case("suspects", silent),
        "cancel_requests": _case("cancel_requests", {"worker": WORKER, "ids": [one.id for one in known.held]}),
    }


def _ask(known: Known) -> dict[str, Case]:
    anything = dict.fromkeys(
        ("cursor", "stages", "is_held", "is_cancelling", "queue", "name", "tenant", "since", "tag", "search")
    )
    page = {**anything, "limit": BATCH}
    ids = {"ids": known.waiting, "now": NOW, "expires_at": KEPT_UNTIL}
    finished = {"ids": known.finished, "now": NOW}
    return {
        "get_job": _case("get_job", {"id": known.waiting[0]}),
        "get_job finished": _case("get_job", {"id": known.finished[0]}),
        "get_logs": _case("get_logs", {"id": known.finished[0]}),
        "list_live": _case("list_live", page),
        "list_live of a queue": _case("list_live", {**page, "queue": "default"}),
        "list_live queued": _case("list_live", {**page, "stages": [1], "is_held": False}),
        "list_unsuccessful": _case("list_unsuccessful", page),
        "list_completed": _case("list_completed", page),
        "list_completed next page": _case("list_completed", {**page, "cursor": known.finished[0]}),
        "list_live behind all": _case("list_live", {**page, "cursor": OLDEST}),
        "list_unsuccessful behind all": _case("list_unsuccessful", {**page, "cursor": OLDEST}),
        "list_completed behind all": _case("list_completed", {**page, "cursor": OLDEST}),
        "get_jobs": _case("get_jobs", {"ids": known.waiting}),
        "get_jobs finished": _case("get_jobs", {"ids": known.finished}),
        "mark_awaited": _case("mark_awaited", {**ids, "is_followed": True}),
        "still_unfinished": _case("still_unfinished", ids),
        "glance_at_jobs": _case("glance_at_jobs", ids),
        "cancel_waiting": _case("cancel_waiting", {**ids, "reason": None}),
        "request_cancel": _case("request_cancel", {"ids": [one.id for one in known.held], "now": NOW}),
        "revive_jobs": _case("revive_jobs", finished),
        "reschedule_job": _case("reschedule_job", {"id": known.waiting[0], "stage": 0, "run_at": NOW}),
        "delete_jobs": _case("delete_jobs", finished),
        "list_workers": _case("list_workers"),
        "list_queues": _case("list_queues"),
    }


def _look(_known: Known) -> dict[str, Case]:
    """What `lineshaft top` asks again and again; its counts stop at the batch."""
    return {
        "list_heads": _case("list_heads", {"limit": BATCH}),
        "count_ready": _case("count_ready", {"limit": BATCH}, [{"queue": "default", "rank": 0}]),
        "count_due": _case("count_due", {"limit": BATCH}),
        "enqueued_total": _case("enqueued_total"),
    }


def _why(known: Known) -> dict[str, Case]:
    """What is asked to explain a job; its looks at a queue stop at the batch."""
    behind_all = {"queue": "default", "rank": 100, "turn": NOW, "id": known.waiting[0], "limit": BATCH}
    return {
        "explain_job": _case("explain_job", {"id": known.waiting[0]}),
        "explain_job finished": _case("explain_job", {"id": known.finished[0]}),
        "queue_pause": _case("queue_pause", {"queue": "default"}),
        "count_ahead": _case("count_ahead", behind_all),
        "count_ahead of an empty queue": _case("count_ahead", {**behind_all, "queue": "empty"}),
        "held_at_head": _case("held_at_head", {"queue": "default", "limit": BATCH}),
        "held_at_head of an empty queue": _case("held_at_head", {"queue": "empty", "limit": BATCH}),
    }


def _gates(known: Known) -> dict[str, Case]:
    """What one step for gates asks and writes."""
    keys, moves = {"keys": list(GATES)}, {"tat": NOW, "state": None, "wake_at": NOW}
    held = [{"job": one.id, "gate": LONG_LINE, "claim": one.claim} for one in known.held]
    return {
        "lock_gates": _case("lock_gates", keys),
        "add_gates": _case("add_gates", {}, [{"key": key, "rule": "k"} for key in sorted(GATES)]),
        "read_gates": _case("read_gates", {**keys, "closed": []}),
        "move_gates": _case("move_gates", {}, [{"key": key, **moves} for key in sorted(GATES)]),
        "due_gates": _case("due_gates", {"now": NOW, "limit": BATCH}),
        "next_wake": _case("next_wake"),
        "take_slots": _case("take_slots", {}, held),
        "remove_slots": _case("remove_slots", {}, [{"id": one.id, "claim": one.claim} for one in known.held]),
        "gates_of": _case("gates_of", {"ids": [one.id for one in known.held]}),
    }


def _line(known: Known) -> dict[str, Case]:
    """What puts jobs into lines and lets them out."""
    parked = [{"id": one.id, "key": one.key, "claim": one.claim, "gate": LONG_LINE} for one in known.held]
    unclaimed = [{"id": job_id, "key": number, "gate": LONG_LINE} for number, job_id in enumerate(known.waiting)]
    entering = [{"id": job_id, "key": number, "sequence": "s"} for number, job_id in enumerate(known.waiting)]
    joining = [{"id": one.id, "key": one.key, "claim": one.claim, "sequence": "s"} for one in known.held]
    heads = {"keys": list(GATES), "queue": "default", "limit": BATCH, "worker": WORKER, "now": NOW}
    keys = [{"key": key} for key in GATES[:10]]
    many, few = [{"key": LONG_LINE, "count": BATCH}], [{"key": key, "count": 1} for key in sorted(GATES)]
    return {
        "park_jobs": _case("park_jobs", {"worker": WORKER}, parked),
        "park_ready": _case("park_ready", {"queue": "default", "limit": BATCH}),
        "park_ready of an empty queue": _case("park_ready", {"queue": "empty", "limit": BATCH}),
        "park_unclaimed": _case("park_unclaimed", {}, unclaimed),
        "release_line of one gate": _case("release_line", {}, many),
        "release_line of many gates": _case("release_line", {}, few),
        "queues_of_lines": _case("queues_of_lines"),
        "heads_of_queues": _case("heads_of_queues", {"queues": ["default", "empty"], "limit": BATCH}, keys),
        "heads_of_queues of another queue": _case("heads_of_queues", {"queues": ["empty"], "limit": BATCH}, keys),
        "release_found": _case("release_found", {"ids": known.waiting}),
        "release_jobs": _case("release_jobs", {"ids": known.waiting}),
        "join_sequences": _case("join_sequences", {}, joining),
        "join_unclaimed": _case("join_unclaimed", {}, entering),
        "leave_gates": _case(
            "leave_gates", {}, [{"id": one.id, "key": one.key, "claim": one.claim} for one in known.held]
        ),
        "claim_heads": _case("claim_heads", heads),
        "claim_heads of another queue": _case("claim_heads", {**heads, "queue": "empty"}),
    }


def _limits(known: Known) -> dict[str, Case]:
    """What is asked of limits for people, whose looks at a line stop at the batch, and of rules for every round."""
    return {
        "read_rules": _case("read_rules", {"names": ["k"]}),
        "gates_of_rule": _case("gates_of_rule", {"name": "k", "limit": BATCH}),
        "occupancy": _case("occupancy", {"keys": list(GATES[:10]), "limit": BATCH}),
        "stand": _case("stand", {"id": known.waiting[0], "limit": BATCH}),
        "holders": _case("holders", {"gate": LONG_LINE, "limit": BATCH}),
        "holders of an empty gate": _case("holders", {"gate": "k=none", "limit": BATCH}),
        "line_length": _case("line_length", {"gate": LONG_LINE, "limit": BATCH}),
    }


def _course() -> dict[str, Case]:
    """How limits that learn have moved, and what forgets that."""
    moments = [{"gate": key, "at": NOW} for key in sorted(GATES)]
    return {
        "note_changes": _case("note_changes", {}, [{**one, "value": 5.0, "why": "success"} for one in moments]),
        "course_of": _case("course_of", {"gate": LONG_LINE, "since": 0, "limit": BATCH}),
        "part_of_course": _case("part_of_course", {"gate": "", "at": 0, "limit": BATCH}),
        "delete_changes": _case("delete_changes", {}, moments),
    }


def _unique(known: Known) -> dict[str, Case]:
    keys = sorted(f"{number:064x}" for number in range(BATCH))
    fields = (
        "args",
        "queue",
        "rank",
        "run_at",
        "stage",
        "max_attempts",
        "deadline",
        "tags",
        "meta",
        "options",
        "context",
    )
    place = {"sequence": "s", "turn_of_tenant": "-", "turn_of_key": "-"}
    replaced = [{"id": job_id, **place} | {name: new_row()[name] for name in fields} for job_id in known.waiting]
    held = [{"key": key, "job": job_id, "until": None} for key, job_id in zip(keys, known.waiting, strict=True)]
    return {
        "take_keys": _case("take_keys", {}, held),
        "find_holders": _case("find_holders", {"keys": keys}),
        "look_up_jobs": _case("look_up_jobs", {"ids": known.finished}),
        "lock_waiting": _case("lock_waiting", {"ids": known.waiting}),
        "replace_jobs": _case("replace_jobs", {}, replaced),
        "move_keys": _case("move_keys", {}, held),
    }


def padded(ids: Sequence[str]) -> list[str]:
    """Return a batch of ids in order, made-up ones where there are too few."""
    return sorted([*ids, *(new_id() for _ in range(BATCH - len(ids)))])
