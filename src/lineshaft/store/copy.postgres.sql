-- Whole tables, page by page: what a page begins behind comes first in its rows, the columns follow as they are loaded.
-- name: take_unfinished
select id::text, id::text, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt,
       attempts_before, max_attempts, losses, is_isolated::integer, cancel_requested::integer, deadline,
       unknown_since, tenant, tags, meta, options, context, args, progress, errors, cancel_requested_at, gate, turn,
       sequence, fair
  from lineshaft.job
 where id > coalesce(%(after)s::uuid, '00000000-0000-0000-0000-000000000000'::uuid)
 order by job.id limit %(limit)s;

-- name: load_unfinished
copy lineshaft.job (id, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt,
       attempts_before, max_attempts, losses, is_isolated, cancel_requested, deadline, unknown_since, tenant, tags,
       meta, options, context, args, progress, errors, cancel_requested_at, gate, turn, sequence, fair)
from stdin;

-- name: take_finished
select id::text, id::text, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt,
       attempts_before, max_attempts, losses, deadline, tenant, tags, meta, options, context, args, progress,
       errors, reason, result, finished_at, expires_at
  from lineshaft.history
 where id > coalesce(%(after)s::uuid, '00000000-0000-0000-0000-000000000000'::uuid)
 order by history.id limit %(limit)s;

-- name: load_finished
copy lineshaft.history (id, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt,
       attempts_before, max_attempts, losses, deadline, tenant, tags, meta, options, context, args, progress,
       errors, reason, result, finished_at, expires_at)
from stdin;

-- name: take_queues
select name, name, paused_at, max_depth, paused_by, pause_reason, max_depth_per_tenant, on_full, block_timeout,
       flow, is_gated::integer, is_fair::integer
  from lineshaft.queue
 where name > coalesce(%(after)s, '') order by queue.name limit %(limit)s;

-- name: load_queues
copy lineshaft.queue (name, paused_at, max_depth, paused_by, pause_reason, max_depth_per_tenant, on_full,
                      block_timeout, flow, is_gated, is_fair) from stdin;

-- name: take_logs
select job::text, claim, job::text, claim, attempt, lines, written_at from lineshaft.job_log
 where (job, claim) > (coalesce(%(after)s::uuid, '00000000-0000-0000-0000-000000000000'::uuid),
                       coalesce(%(after_claim)s::integer, 0))
 order by job_log.job, job_log.claim limit %(limit)s;

-- name: load_logs
copy lineshaft.job_log (job, claim, attempt, lines, written_at) from stdin;

-- name: take_unique_keys
select key, key, job::text, until from lineshaft.unique_key
 where key > coalesce(%(after)s, '') order by unique_key.key limit %(limit)s;

-- name: load_unique_keys
copy lineshaft.unique_key (key, job, until) from stdin;

-- name: holds_schedules
select 1 from lineshaft.schedule where source <> 'system' limit 1;

-- name: remove_schedules
truncate lineshaft.schedule, lineshaft.tick, lineshaft.backfill;

-- name: take_schedules
select name, name, source, declared_by, declared, overrides, watches, version, created_at, updated_at, removed_at,
       paused_at, paused_by, pause_reason, next_at, due_at, last_at, last_job::text, succeeded_at, succeeded_tick, overdue_at
  from lineshaft.schedule where name > coalesce(%(after)s, '') order by schedule.name limit %(limit)s;

-- name: load_schedules
copy lineshaft.schedule (
       name, source, declared_by, declared, overrides, watches, version, created_at, updated_at, removed_at,
       paused_at, paused_by, pause_reason, next_at, due_at, last_at, last_job, succeeded_at, succeeded_tick, overdue_at)
from stdin;

-- name: take_ticks
select schedule, at, run, schedule, at, run, state, job::text, decided_at, note from lineshaft.tick
 where (schedule, at, run) > (coalesce(%(after)s, ''), coalesce(%(after_at)s::bigint, 0), coalesce(%(after_run)s, ''))
 order by tick.schedule, tick.at, tick.run limit %(limit)s;

-- name: load_ticks
copy lineshaft.tick (schedule, at, run, state, job, decided_at, note) from stdin;

-- name: take_backfills
select id, id, schedule, since, until, at_most, only_missing::integer, next_at, enqueued, created_at, ended_at
  from lineshaft.backfill where id > coalesce(%(after)s, '') order by backfill.id limit %(limit)s;

-- name: load_backfills
copy lineshaft.backfill (
       id, schedule, since, until, at_most, only_missing, next_at, enqueued, created_at, ended_at)
from stdin;

-- name: take_limit_rules
select name, name, kind, declared, overrides, updated_at from lineshaft.limit_rule
 where name > coalesce(%(after)s, '') order by limit_rule.name limit %(limit)s;

-- name: load_limit_rules
copy lineshaft.limit_rule (name, kind, declared, overrides, updated_at) from stdin;

-- name: take_gates
select key, key, rule, tat, state, wake_at from lineshaft.gate
 where key > coalesce(%(after)s, '') order by gate.key limit %(limit)s;

-- name: load_gates
copy lineshaft.gate (key, rule, tat, state, wake_at) from stdin;

-- name: take_turns_drawn
select queue, rank, key, queue, rank, key, next, head, tail, step, span, drawn_at, lately from lineshaft.fair
 where (queue, rank, key) > (coalesce(%(after)s, ''), coalesce(%(after_rank)s::smallint, -32768), coalesce(%(after_key)s, ''))
 order by fair.queue, fair.rank, fair.key limit %(limit)s;

-- name: load_turns_drawn
copy lineshaft.fair (queue, rank, key, next, head, tail, step, span, drawn_at, lately) from stdin;

-- name: take_limit_course
select gate, at, gate, at, value, why from lineshaft.limit_course
 where (gate, at) > (coalesce(%(after)s, ''), coalesce(%(after_at)s::bigint, 0))
 order by limit_course.gate, limit_course.at limit %(limit)s;

-- name: load_limit_course
copy lineshaft.limit_course (gate, at, value, why) from stdin;
