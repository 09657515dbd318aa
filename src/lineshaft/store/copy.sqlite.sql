-- Whole tables, page by page: what a page begins behind comes first in its rows, the columns follow as they are loaded.
-- name: take_unfinished
select id, id, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt, attempts_before,
       max_attempts, losses, is_isolated, cancel_requested, deadline, unknown_since, tenant, tags, meta, options,
       context, args, progress, errors, cancel_requested_at, gate, turn, sequence, fair
  from lineshaft_job indexed by lineshaft_job_live
 where stage < 10 and id > coalesce(:after, '') order by id limit :limit;

-- name: load_unfinished
insert into lineshaft_job (id, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt,
       attempts_before, max_attempts, losses, is_isolated, cancel_requested, deadline, unknown_since, tenant, tags,
       meta, options, context, args, progress, errors, cancel_requested_at, gate, turn, sequence, fair)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: take_finished
-- In the order of the table itself, which reads no index.
select seq, id, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt, attempts_before,
       max_attempts, losses, deadline, tenant, tags, meta, options, context, args, progress, errors, reason, result,
       finished_at, expires_at
  from lineshaft_job where stage >= 10 and seq > coalesce(:after, 0) order by seq limit :limit;

-- name: load_finished
insert into lineshaft_job (id, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt,
       attempts_before, max_attempts, losses, deadline, tenant, tags, meta, options, context, args, progress,
       errors, reason, result, finished_at, expires_at)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: take_queues
select name, name, paused_at, max_depth, paused_by, pause_reason, max_depth_per_tenant, on_full, block_timeout,
       flow, is_gated, is_fair
  from lineshaft_queue
 where name > coalesce(:after, '') order by name limit :limit;

-- name: load_queues
insert into lineshaft_queue (name, paused_at, max_depth, paused_by, pause_reason, max_depth_per_tenant, on_full,
                             block_timeout, flow, is_gated, is_fair)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: take_logs
select job, claim, job, claim, attempt, lines, written_at from lineshaft_job_log
 where (job, claim) > (coalesce(:after, ''), coalesce(:after_claim, 0)) order by job, claim limit :limit;

-- name: load_logs
insert into lineshaft_job_log (job, claim, attempt, lines, written_at) values (?, ?, ?, ?, ?);

-- name: take_unique_keys
select key, key, job, until from lineshaft_unique_key where key > coalesce(:after, '') order by key limit :limit;

-- name: load_unique_keys
insert into lineshaft_unique_key (key, job, until) values (?, ?, ?);

-- name: holds_schedules
select 1 from lineshaft_schedule where source <> 'system' limit 1;

-- name: remove_schedules
delete from lineshaft_schedule;
delete from lineshaft_tick;
delete from lineshaft_backfill;

-- name: take_schedules
select name, name, source, declared_by, declared, overrides, watches, version, created_at, updated_at, removed_at,
       paused_at, paused_by, pause_reason, next_at, due_at, last_at, last_job, succeeded_at, succeeded_tick, overdue_at
  from lineshaft_schedule where name > coalesce(:after, '') order by name limit :limit;

-- name: load_schedules
insert into lineshaft_schedule (
       name, source, declared_by, declared, overrides, watches, version, created_at, updated_at, removed_at,
       paused_at, paused_by, pause_reason, next_at, due_at, last_at, last_job, succeeded_at, succeeded_tick, overdue_at)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: take_ticks
select schedule, at, run, schedule, at, run, state, job, decided_at, note from lineshaft_tick
 where (schedule, at, run) > (coalesce(:after, ''), coalesce(:after_at, 0), coalesce(:after_run, ''))
 order by schedule, at, run limit :limit;

-- name: load_ticks
insert into lineshaft_tick (schedule, at, run, state, job, decided_at, note) values (?, ?, ?, ?, ?, ?, ?);

-- name: take_backfills
select id, id, schedule, since, until, at_most, only_missing, next_at, enqueued, created_at, ended_at
  from lineshaft_backfill where id > coalesce(:after, '') order by id limit :limit;

-- name: load_backfills
insert into lineshaft_backfill (
       id, schedule, since, until, at_most, only_missing, next_at, enqueued, created_at, ended_at)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: take_limit_rules
select name, name, kind, declared, overrides, updated_at from lineshaft_limit_rule
 where name > coalesce(:after, '') order by name limit :limit;

-- name: load_limit_rules
insert into lineshaft_limit_rule (name, kind, declared, overrides, updated_at) values (?, ?, ?, ?, ?);

-- name: take_gates
select key, key, rule, tat, state, wake_at from lineshaft_gate
 where key > coalesce(:after, '') order by key limit :limit;

-- name: load_gates
insert into lineshaft_gate (key, rule, tat, state, wake_at) values (?, ?, ?, ?, ?);

-- name: take_turns_drawn
select queue, rank, key, queue, rank, key, next, head, tail, step, span, drawn_at, lately from lineshaft_fair
 where (queue, rank, key) > (coalesce(:after, ''), coalesce(:after_rank, -32768), coalesce(:after_key, ''))
 order by queue, rank, key limit :limit;

-- name: load_turns_drawn
insert into lineshaft_fair (queue, rank, key, next, head, tail, step, span, drawn_at, lately) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: take_limit_course
select gate, at, gate, at, value, why from lineshaft_limit_course
 where (gate, at) > (coalesce(:after, ''), coalesce(:after_at, 0))
 order by gate, at limit :limit;

-- name: load_limit_course
insert into lineshaft_limit_course (gate, at, value, why) values (?, ?, ?, ?);
